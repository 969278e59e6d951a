"""Statistics that know no rule: arrays in, numbers out."""
