"""The metastore on each database, and what only SQL has."""
