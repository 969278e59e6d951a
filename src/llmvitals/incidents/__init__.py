"""What becomes of an alert: it is grouped, muted, sent, acknowledged and resolved."""

from llmvitals.incidents.sink import IncidentSink

__all__ = ["IncidentSink"]
