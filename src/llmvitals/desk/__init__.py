"""The life of an alert after its detection: grouped, muted, told, acknowledged, over."""
