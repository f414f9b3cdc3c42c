"""pytest plugin (placeholder until the testing package lands)."""
