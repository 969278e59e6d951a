"""What a rule can see: the smallest change that it would find in the traffic of a series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.record.vitals import Vitals

DAYS: Final = (1, 7)
"""Within how many days a change is to be found."""
NEAR: Final = 0.3
"""The change that people ask for."""
BEYOND: Final = 1.5
"""A rule that reports changes from an effect on is asked for one of so many times the effect."""
_ROUNDS: Final = 40


@dataclass(frozen=True, slots=True)
class Traffic:
    """The calls of a series. vitals: all of them, with arms where the view is split; days: in so many days.

    family: the series that share the promise of the rule.
    """

    vitals: Vitals
    days: float
    family: int = 1

    @property
    def calls(self) -> float:
        """A day."""
        return self.vitals.total("calls") / self.days


class Changes(NamedTuple):
    """The changes of a metric that a rule can report, whatever the number of calls.

    base: what they are measured from, in the metric's unit. most: the greatest one that is possible, as a
    share of the base; 0: none. why: what people should know of this, "" for nothing.
    """

    base: float
    most: float
    why: str = ""


def rise(share: float, effect: float) -> Changes:
    """The changes of a share above 0 that may rise: up to a share of 1. effect: the least one reported."""
    most = 1 / share - 1
    return Changes(share, most) if most > effect else Changes(share, 0.0, f"it can't rise by {effect:.0%}")


class Power(NamedTuple):
    """What a rule sees of one metric.

    base: the usual value, in the metric's unit. calls: a day, that the metric is computed from. day, week:
    the smallest change that is found within that time in the mean, as a share of the base (0.3: 30 % more;
    -0.3: 30 % less); None: none. down: it is looked for falls. effect: the least change that the rule
    reports. most, why: see Changes.
    """

    metric: str
    base: float
    calls: float
    day: float | None
    week: float | None
    down: bool = False
    effect: float = 0.0
    most: float = math.inf
    why: str = ""

    @property
    def note(self) -> str:
        """What people should know."""
        if not self.most:
            return self.why
        asked = min(max(NEAR, BEYOND * self.effect), self.most)
        if self.week is not None and abs(self.week) <= asked:
            return self.why
        few = f"too few calls to see {'−' if self.down else '+'}{asked:.0%}"
        return f"{few}; {self.why}" if self.why else few


def smallest(days: Callable[[float], float], within: float, least: float, most: float) -> float | None:
    """The smallest change from `least` to `most` that is found in time; None if there is none.

    days: change → the days until it is found, which fall with the change.
    """
    if most < least or days(most) > within:
        return None
    low, high = least, most
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if days(middle) > within else (low, middle)
    return high
