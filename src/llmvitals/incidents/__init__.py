"""The life of an alert after its detection: grouped, muted, told, acknowledged, over."""

from llmvitals.incidents.sink import IncidentSink

__all__ = ["IncidentSink"]
