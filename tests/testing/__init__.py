"""What is shipped for authors of DAGs and plugins."""
