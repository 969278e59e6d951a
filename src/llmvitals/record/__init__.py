"""What lies on the topics: one file each, data only."""
