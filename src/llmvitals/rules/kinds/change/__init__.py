"""Whatever metric changes, without a limit."""
