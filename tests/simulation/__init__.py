"""The simulation, its gate of planted bugs, and what it has found."""
