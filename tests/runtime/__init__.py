"""The runtime: supervisor, workers and the task process."""
