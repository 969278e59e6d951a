"""The sections of the page of settings."""

from __future__ import annotations

from typing import Final

SECTIONS: Final = {
    "brokers": "Kafka",
    "gateway_host": "Gateway",
    "instance": "Workers",
    "inputs": "Calls",
    "pane": "Time and duplicates",
    "views": "Views and series",
    "alerts": "Rules",
    "text": "Texts",
    "sqlite": "Stores",
    "slack_token": "Slack",
    "health_host": "Operation",
}
"""The first setting of each section → the section's title. Settings stand in the order of their fields."""
