"""What the conditions of all kinds of rules share."""
