"""What DAG authors write, and what the compiler makes of it or says to it."""
