"""A sum of money, tokens or calls that may be spent in a period."""
