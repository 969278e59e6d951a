"""A real Kafka and InfluxDB on this machine, and the demo: its traffic and its screen."""
