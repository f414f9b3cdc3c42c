"""What users of comparable systems met, and what must happen here; the number in a file's name is the row's."""
