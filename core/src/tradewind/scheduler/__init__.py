"""The deciding process: who leads, and the loop that wakes, decides, commits and dispatches."""
