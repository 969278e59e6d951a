"""A metric that is worse than at the same hours of past weeks."""
