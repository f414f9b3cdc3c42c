"""Tests of dagbag."""
