"""Suites that every adapter of a port must pass, for adapters of ours and of plugin authors."""
