"""Expected calls that are missing."""
