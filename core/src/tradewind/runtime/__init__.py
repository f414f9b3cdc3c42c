"""Runs one attempt: supervisor, fork servers and task process. Never sees the database."""
