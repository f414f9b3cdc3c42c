"""What a user sees of whole installations: real processes, real databases, real signals."""
