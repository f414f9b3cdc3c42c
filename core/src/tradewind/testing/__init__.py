"""Shipped for authors of DAGs and plugins: test runs, stand-ins for the outside, conformance suites."""
