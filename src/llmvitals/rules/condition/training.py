"""How a condition learns a baseline from past calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from llmvitals.rules.condition.detector import Detector


class Baseline(NamedTuple):
    """What is known of a baseline.

    calls: how many it was learned from. overdispersion: φ, how much further apart minutes are than they would
    be if their calls were independent.
    """

    calls: int
    overdispersion: float


class Training(Protocol):
    """Learns the baseline of one series. States are those of the detector."""

    @property
    def longest(self) -> int:
        """The longest time to learn from, µs."""

    def detector(self, pane: int, minutes: int) -> Detector:
        """A detector that learns from so many minutes with calls; pane in µs."""

    def minutes(self, state: dict[str, Any]) -> int:
        """How many minutes with calls a state has learned from."""

    def fitting(self, minutes: int) -> int:
        """The longest time to learn, in minutes, that ends within so many minutes with calls; 0 for none."""

    def learned(self, state: dict[str, Any]) -> bytes | None:
        """The baseline in a state; None while it learns."""

    def describe(self, baseline: bytes) -> Baseline:
        """What is known of a baseline."""
