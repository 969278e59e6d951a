"""A session, user or key that spends too much or is in a loop."""
