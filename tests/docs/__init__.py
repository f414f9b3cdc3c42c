"""The documentation: what it shows is run, what the code can tell is compared with the code."""
