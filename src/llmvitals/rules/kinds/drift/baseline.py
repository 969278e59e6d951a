"""Trains the reference of a drift rule on past calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.rules.condition.training import Baseline
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.rules.kinds.drift.training import FEWEST, Learner
from llmvitals.window import DAY, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.rules.kinds.drift.detector import DriftDetector

_SHARE: Final = 0.95
"""The share of the minutes that is used, because a step may join several minutes."""


@dataclass(frozen=True, slots=True)
class DriftTraining:
    """Trains a packed Reference. made: pane and time to learn (both µs) → the rule's detector."""

    made: Callable[[int, int], DriftDetector]

    @property
    def longest(self) -> int:
        """Twice the longest `learn` of a rule."""
        return 56 * DAY

    def detector(self, pane: int, minutes: int) -> DriftDetector:
        """The rule's detector with another time to learn."""
        return self.made(pane, minutes * MINUTE)

    def minutes(self, state: dict[str, Any]) -> int:
        """Minutes from the first call on; at most GAP of each time without calls."""
        minutes: int = state.get("learning", {}).get("learned", 0)
        return minutes

    def fitting(self, minutes: int) -> int:
        """The longest training whose parts all fit."""
        available = int(minutes * _SHARE)
        lengths = range(available, 0, -1)
        return next((length for length in lengths if _needed(length) <= available), 0)

    def learned(self, state: dict[str, Any]) -> bytes | None:
        """The reference in a state."""
        return reference_of(state)

    def describe(self, baseline: bytes) -> Baseline:
        """Summarise a reference."""
        reference = unpacked(baseline)
        return Baseline(reference.calls, reference.overdispersion)


def reference_of(state: dict[str, Any]) -> bytes | None:
    """The packed reference in a detector's state; None while it learns."""
    reference: bytes | None = state.get("reference")
    return reference


def adopted(state: dict[str, Any], reference: bytes | None) -> None:
    """Replace the reference in a detector's state; None: learn anew.

    The embeddings of the last minutes are dropped, so only later ones are compared with this reference.
    Raises ValueError if the bytes are not a reference; then the state is unchanged.
    """
    space = unpacked(reference).space if reference is not None else ""
    heard = state.get("heard", 0)
    state.clear()
    if reference is not None:
        state.update(reference=reference, space=space, heard=heard)


def _needed(length: int) -> int:
    """The minutes that a training of this length needs."""
    learner = Learner(length)
    return sum(max(learner.length_of(part), least) for part, least in enumerate(FEWEST))
