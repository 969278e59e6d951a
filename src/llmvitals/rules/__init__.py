"""Alert rules: loading them from YAML, the rule engine, and the kinds of conditions."""
