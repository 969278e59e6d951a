"""Rules as YAML, and the life of an alert."""
