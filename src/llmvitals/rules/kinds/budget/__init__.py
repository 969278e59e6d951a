"""A limit on the cost, tokens or calls of a period."""
