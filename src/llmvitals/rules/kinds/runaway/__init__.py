"""One user, session or key out of control."""
