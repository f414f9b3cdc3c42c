"""Everything in one process tree: a watchdog that forks the parts and restarts what dies."""
