"""The task process: one attempt of one task."""
