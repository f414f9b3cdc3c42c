"""The seams: Protocols whose docstrings are contracts. Every adapter of one passes its conformance suite."""
