"""A budget's thresholds, in ascending order: each is told once, and of several passed at once the highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from llmvitals.metrics.amount import BASIS, NANO
from llmvitals.metrics.quantity import amount
from llmvitals.record.reading import Reading
from llmvitals.window import FOREVER, MINUTE, window_start

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

RELEASE: int = 95
"""What rose to a limit is released below this per cent of it."""

Told = list[int]
"""Of a period, what was told: the highest step (0: none), the limit then, and the number of the episode."""


class Stand(NamedTuple):
    """How a period stands at a time (µs): what is spent; its name; and when it ends, where that is known."""

    at: int
    spent: int
    begin: str
    ends: int | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is spent (totals of vitals), of how much, and at which steps (1/10,000) to speak.

    limit: nano-dollars, tokens or calls. shown: whether to say also how it stands ("hold") at the end of each
    minute in which that changed. warn, block: the steps from which on a gateway shall do so; 0: never.

    A limit that was changed holds from the next pane on. Raised: what the old one told is over, and of the
    new thresholds only the steps that are still to come are told. Lowered: the highest step that the spend
    passes on the new thresholds is told, in the same episode, if it is higher than what was told.
    """

    totals: tuple[str, ...]
    limit: int
    unit: Unit
    steps: tuple[int, ...]
    shown: bool = False
    warn: int = 0
    block: int = 0

    @property
    def scale(self) -> int:
        """How many of the integers that are summed make one of the unit."""
        return NANO if self.unit == "usd" else 1

    @property
    def fresh(self) -> Told:
        """Nothing told yet."""
        return [0, self.limit, 0]

    def amount(self, vitals: Vitals) -> int:
        """What a pane spends."""
        return sum(vitals.total(name) for name in self.totals)

    def passed(self, spent: int, fired: int) -> int:
        """The highest step above `fired` that is reached; 0 when none is."""
        return max(
            (step for step in self.steps if step > fired and spent * BASIS >= self.limit * step), default=0
        )

    def released(self, spent: int) -> bool:
        """Whether the spend is clearly below the lowest step."""
        return spent * BASIS * 100 < self.limit * self.steps[0] * RELEASE

    def climb(self, told: Told, stand: Stand) -> list[Reading]:
        """What is new in how the period stands; told is brought up to date."""
        note = ""
        if told[1] != self.limit:
            how = "raised" if told[1] < self.limit else "lowered"
            note = f"the limit was {how} from {self.text(told[1])} to {self.text(self.limit)}"
            reached = self.passed(stand.spent, 0)
            over = reached < told[0]
            if over:
                readings = [self._reading(stand, "clear", told, note)]
                told[:] = [reached, self.limit, told[2] + 1]
                return readings
            told[1] = self.limit
        step = self.passed(stand.spent, told[0])
        if not step:
            return []
        told[0] = step
        return [
            self._reading(stand, "breach", told, "; ".join(filter(None, (note, self._over(stand, told)))))
        ]

    def ended(self, told: Told, stand: Stand) -> list[Reading]:
        """The end of what was told, when the period is over or has let go of it."""
        return [self._reading(stand, "clear", told, self._over(stand, told))] if told[0] else []

    def stands(self, told: Told, stand: Stand) -> Reading:
        """The reading for the end of a minute."""
        spent, limit = stand.spent / self.scale, told[1] / self.scale
        return Reading(stand.at, "hold", spent, limit, begin=f"{stand.begin}-{told[2]}")

    def due(self, pane: int, length: int) -> int:
        """The pane at whose end a change in `pane` is told: its minute's last. length: of a pane, µs."""
        return (window_start(pane * length, MINUTE) + MINUTE) // length - 1 if self.shown else FOREVER

    def text(self, integer: int) -> str:
        """An amount as people read it."""
        return amount(integer / self.scale, self.unit)

    def _reading(self, stand: Stand, verdict: str, told: Told, note: str) -> Reading:
        firing = verdict == "breach"
        steer = ""
        if firing and self.warn:
            steer = "warn" if told[0] >= self.warn else ""
        if firing and self.block and told[0] >= self.block:
            steer = "block"
        return Reading(
            at=stand.at,
            verdict="breach" if firing else "clear",
            value=stand.spent / self.scale,
            limit=told[1] / self.scale,
            level=f"{told[0] / 100:g}%" if firing else "",
            begin=f"{stand.begin}-{told[2]}",
            note=note,
            ends=stand.ends,
            steer=steer,
        )

    def _over(self, stand: Stand, told: Told) -> str:
        return f"overspent by {self.text(stand.spent - told[1])}" if stand.spent > told[1] else ""
