"""A metric against a fixed limit."""
