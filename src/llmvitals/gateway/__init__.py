"""Takes events by HTTP, and sends them to Kafka: `llmvitals gateway`."""
