"""Tests of the pure part: values in, values out, no clock and no database."""
