"""What a user gets who installs the distributions."""
