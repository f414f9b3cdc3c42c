"""Tests on the source itself: its shape, its names and its promises."""
