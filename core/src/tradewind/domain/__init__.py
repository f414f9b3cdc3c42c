"""The pure heart: values and rules without I/O, clock or randomness."""
