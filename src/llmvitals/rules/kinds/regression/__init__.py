"""Regressions: a metric is worse than at the same hours of past weeks or days."""
