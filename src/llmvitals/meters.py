"""Where the workings are counted."""

from __future__ import annotations

from typing import Protocol


class Meters(Protocol):
    """Where the workings are counted. Labels are short and few (topic, partition, code)."""

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set what is measured now."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more of what is distributed, such as seconds that something took."""

    def ready(self, reason: str | None) -> None:
        """Whether work is being done: None, or why not."""

    def note(self, who: str, text: str | None) -> None:
        """Something that people should know although work is being done; None: it is over."""


class Unmetered:
    """Meters that nobody reads."""

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Nothing."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Nothing."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Nothing."""

    def ready(self, reason: str | None) -> None:
        """Nothing."""

    def note(self, who: str, text: str | None) -> None:
        """Nothing."""
