"""Where attempts go: each executor carries launches to workers and brings back hints."""
