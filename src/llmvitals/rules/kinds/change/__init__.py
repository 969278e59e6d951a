"""Change points of any metric, without a limit."""
