"""The kinds of rules: one folder each, one line in the registry."""
