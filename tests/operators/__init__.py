"""Operators and sensors of the core."""
