"""A provider that fails."""
