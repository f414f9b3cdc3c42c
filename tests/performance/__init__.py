"""Measurements of the budgets: run with `python -m tests.performance`."""
