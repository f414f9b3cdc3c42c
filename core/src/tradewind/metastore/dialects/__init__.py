"""What differs between the databases, and nothing else: opening, locking, upserts, the meaning of errors."""
