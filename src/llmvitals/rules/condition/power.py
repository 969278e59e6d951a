"""What a rule can see: the smallest change that it would find in the traffic of a series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.record.vitals import Vitals

DAYS: Final = (1, 7)
"""Within how many days a change is to be found."""
NEAR: Final = 0.3
"""The change that people ask for."""
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


class Power(NamedTuple):
    """What a rule sees of one metric.

    base: the usual value, in the metric's unit. calls: a day, that the metric is computed from. day, week:
    the smallest change that is found within that time in the mean, as a share of the base (0.3: 30 % more;
    -0.3: 30 % less); None: none. down: it is looked for falls.
    """

    metric: str
    base: float
    calls: float
    day: float | None
    week: float | None
    down: bool = False

    @property
    def note(self) -> str:
        """What people should know."""
        if self.week is None or abs(self.week) > NEAR:
            return f"too few calls to see {'−' if self.down else '+'}{NEAR:.0%}"
        return ""


def smallest(days: Callable[[float], float], within: float, least: float, most: float) -> float | None:
    """The smallest change from `least` to `most` that is found in time; None if there is none.

    days: change → the days until it is found, which fall with the change.
    """
    if days(most) > within:
        return None
    low, high = least, most
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if days(middle) > within else (low, middle)
    return high
