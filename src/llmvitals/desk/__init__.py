"""The life of an alert after its detection: grouped, muted, told, acknowledged, over."""

from llmvitals.desk.desk import Desk

__all__ = ["Desk"]
