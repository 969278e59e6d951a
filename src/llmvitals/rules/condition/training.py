"""How a condition learns a baseline from past calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from llmvitals.rules.condition.detector import Detector


class Baseline(NamedTuple):
    """A summary of a baseline.

    calls: the number of calls that it was learned from. overdispersion: φ, the variance between minutes
    relative to that of independent calls.
    """

    calls: int
    overdispersion: float


class Training(Protocol):
    """Learns the baseline of one series. States are those of the detector."""

    @property
    def longest(self) -> int:
        """The longest time to learn from, µs."""

    def detector(self, pane: int, minutes: int) -> Detector:
        """A detector that learns from this many minutes with calls; pane: µs."""

    def minutes(self, state: dict[str, Any]) -> int:
        """The minutes with calls that a state has learned from."""

    def fitting(self, minutes: int) -> int:
        """The longest training, in minutes, that these minutes with calls suffice for; 0 for none."""

    def learned(self, state: dict[str, Any]) -> bytes | None:
        """The baseline in a state; None during the training."""

    def describe(self, baseline: bytes) -> Baseline:
        """Summarise a baseline."""
