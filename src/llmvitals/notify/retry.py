"""When to try again after a notifier answered with an error, such as Slack's 429."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmvitals.errors import SinkError

if TYPE_CHECKING:
    from llmvitals.rate_limit import RateLimits


@dataclass(slots=True)
class Backoff:
    """Channels that have to wait before the next try: channel → why, until when, and how long that is."""

    limits: RateLimits
    waits: dict[str, tuple[str, float, float]] = field(default_factory=dict)

    def check(self, *channels: str) -> None:
        """Raise SinkError (retry) while one of the channels has to wait."""
        now = self.limits.monotonic()
        for channel in channels:
            why, until, _ = self.waits.get(channel, ("", 0.0, 0.0))
            if until > now:
                raise SinkError(why, retry=True, retry_after=until - now)

    def failed(self, channel: str, why: str, after: float | None) -> SinkError:
        """Let a channel wait, and return the error to raise.

        after: seconds, such as those of Retry-After; None: twice as long as the last time, 0.5 s at first.
        """
        _, _, last = self.waits.get(channel, ("", 0.0, 0.0))
        wait = min(max(last * 2, 0.5), self.limits.longest) if after is None else after
        self.waits[channel] = (why, self.limits.monotonic() + wait, wait)
        return SinkError(why, retry=True, retry_after=wait)

    def succeeded(self, channel: str) -> None:
        """Let the next try go at once."""
        self.waits.pop(channel, None)
