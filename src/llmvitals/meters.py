"""The interface through which the pipeline reports metrics about itself."""

from __future__ import annotations

from typing import Protocol


class Meters(Protocol):
    """Receives metrics about the pipeline. Labels are short and few (topic, partition, code)."""

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram, such as a duration in seconds."""

    def ready(self, reason: str | None) -> None:
        """Report that the worker is ready (None), or why it is not."""

    def note(self, who: str, text: str | None) -> None:
        """Report something that people should know although the worker is ready; None withdraws it."""


class Unmetered:
    """Meters that discard everything."""

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Discard it."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Discard it."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Discard it."""

    def ready(self, reason: str | None) -> None:
        """Discard it."""

    def note(self, who: str, text: str | None) -> None:
        """Discard it."""


class Readiness:
    """Joins the reasons of several parts why the worker is not ready into one."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._reasons: dict[str, str] = {}

    def say(self, who: str, reason: str | None) -> None:
        """Set or clear (None) the reason of one part."""
        self._reasons.pop(who, None)
        if reason:
            self._reasons[who] = reason
        self._meters.ready("; ".join(self._reasons.values()) or None)
