"""The notifiers that there are, and those that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from llmvitals.notify.delivery import Delivery
from llmvitals.notify.slack.settings import SlackSettings
from llmvitals.notify.terminal import Terminal
from llmvitals.settings import Settings

if TYPE_CHECKING:
    from llmvitals.meters import Meters
    from llmvitals.notify.protocol import Notifier
    from llmvitals.rate_limit import RateLimits

    Configured = Callable[[Settings, RateLimits], "tuple[Notifier, str] | None"]

log: Final = structlog.get_logger(__name__)

NOTIFIERS: Final[dict[str, Configured]] = {
    "slack": SlackSettings.notifier,
}
"""Name → what gives the notifier and its default channel; None where the settings have none of this kind."""


def deliveries(settings: Settings, *, meters: Meters, limits: RateLimits) -> list[Delivery]:
    """Return a delivery for every notifier that the settings configure; without any, alerts are printed."""
    configured = [found for make in NOTIFIERS.values() if (found := make(settings, limits)) is not None]
    if not configured:
        log.info("no notifier is configured, such as Slack: alerts are printed")
        configured = [(Terminal(), "")]
    return [Delivery(notifier, channel, limits, meters) for notifier, channel in configured]
