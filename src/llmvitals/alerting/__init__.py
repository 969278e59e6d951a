"""The sink of alerts, put together: incidents, and the notifiers that the settings configure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.incidents import IncidentSink
from llmvitals.meters import Unmetered
from llmvitals.notify.registry import deliveries
from llmvitals.rate_limit import RateLimits
from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.meters import Meters
    from llmvitals.routing import Routing
    from llmvitals.settings import Settings


def incident_sink(
    settings: Settings,
    routing: Routing | None = None,
    *,
    meters: Meters | None = None,
    limits: RateLimits | None = None,
) -> IncidentSink:
    """Return the sink for the alerts topic. routing: as the rules say."""
    limits, meters = limits or RateLimits(patience=2.0), meters or Unmetered()
    return IncidentSink(
        deliveries(settings, meters=meters, limits=limits),
        routing,
        max_age=duration(settings.max_alert_age),
        channel=settings.slack_channel or "",
        meters=meters,
        limits=limits,
    )
