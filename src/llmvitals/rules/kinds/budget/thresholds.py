"""The thresholds of a budget. Each is reported once; if several are passed at once, only the highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.metrics.amount import BASIS, NANO
from llmvitals.metrics.quantity import amount
from llmvitals.record.reading import Reading
from llmvitals.sketch.counters import SUM
from llmvitals.window import FOREVER, MINUTE, window_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals

RELEASE: int = 95
"""An alert resolves when the value is below this per cent of its limit."""

_CALLS: Final = SUM["calls"]
_UNPRICED: Final = SUM["unpriced_calls"]

Reported = list[int]
"""What was reported for a period: the highest step (0: none), the limit then, and the episode's number."""


class Spend(NamedTuple):
    """What calls spent, an integer like the limit.

    calls, unpriced: of money, the number of calls, and of those without a price; else 0.
    """

    amount: int = 0
    calls: int = 0
    unpriced: int = 0

    def plus(self, other: Sequence[int]) -> Spend:
        """The sum of both."""
        return Spend(*(one + more for one, more in zip(self, other, strict=True)))


class Balance(NamedTuple):
    """The spend at a time (µs). begin: the period's name. ends: when it ends, if that is known.

    calls, unpriced: see Spend.
    """

    at: int
    spent: int
    begin: str
    ends: int | None = None
    calls: int = 0
    unpriced: int = 0

    @property
    def without_price(self) -> tuple[int, int] | None:
        """The calls without a price, and all calls; None if each has one."""
        return (self.unpriced, self.calls) if self.unpriced else None

    def plus(self, spend: Spend) -> Balance:
        """The balance after a further spend."""
        at, spent, begin, ends, calls, unpriced = self
        amount, more, without = spend
        return Balance(at, spent + amount, begin, ends, calls + more, unpriced + without)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The steps (1/10,000 of the limit) that are reported when they are passed.

    totals: the sums that are spent. limit: nano-dollars, tokens or calls. shown: whether the balance is read
    ("hold") at the end of each minute in which it changed even if no alert fires. warn, block: the steps at
    which gateways warn or block; 0: never.

    A changed limit applies from the next pane on. If it was raised, the alert resolves, and only steps
    that are passed later are reported. If it was lowered, the highest step that the spend passes now is
    reported in the same episode, unless it was reported before.
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
        """The integers in one unit."""
        return NANO if self.unit == "usd" else 1

    @property
    def fresh(self) -> Reported:
        """The report of a new period: nothing yet."""
        return [0, self.limit, 0]

    def amount(self, vitals: Vitals) -> int:
        """The amount that a pane's calls spent, without the late ones."""
        return sum([vitals.sums[SUM[name]] for name in self.totals])

    def spend(self, vitals: Vitals) -> Spend:
        """The spend of a pane's calls, without the late ones."""
        if self.unit != "usd":
            return Spend(self.amount(vitals))
        return Spend(self.amount(vitals), vitals.sums[_CALLS], vitals.sums[_UNPRICED])

    def passed(self, spent: int, fired: int) -> int:
        """The highest step above `fired` that is reached; 0 when none is."""
        reached = [step for step in self.steps if spent * BASIS >= self.limit * step]
        return max([step for step in reached if step > fired], default=0) if reached else 0

    def headroom(self, reported: Reported, spent: int) -> dict[tuple[str, ...], int]:
        """What may be spent in addition until there is something to report; {}: nothing more is reported."""
        if reported[1] != self.limit:
            return {self.totals: 0}
        step = next((step for step in self.steps if step > reported[0]), None)
        return {} if step is None else {self.totals: -(-self.limit * step // BASIS) - spent}

    def quiet(self, reported: Reported) -> bool:
        """Whether a spend below `headroom` gives no reading: no alert fires, and the balance is not read."""
        return not (self.shown or reported[0]) and reported[1] == self.limit

    def released(self, spent: int) -> bool:
        """Whether the spend is below RELEASE per cent of the lowest step."""
        return spent * BASIS * 100 < self.limit * self.steps[0] * RELEASE

    def update(self, reported: Reported, balance: Balance) -> list[Reading]:
        """The readings for a new balance; `reported` is updated."""
        note = ""
        if reported[1] != self.limit:
            how = "raised" if reported[1] < self.limit else "lowered"
            note = f"the limit was {how} from {self.text(reported[1])} to {self.text(self.limit)}"
            reached = self.passed(balance.spent, 0)
            over = reached < reported[0]
            if over:
                readings = [self._reading(balance, "clear", reported, note)]
                reported[:] = [reached, self.limit, reported[2] + 1]
                return readings
            reported[1] = self.limit
        step = self.passed(balance.spent, reported[0])
        if not step:
            return []
        reported[0] = step
        return [
            self._reading(
                balance, "breach", reported, "; ".join(filter(None, (note, self._over(balance, reported))))
            )
        ]

    def ended(self, reported: Reported, balance: Balance) -> list[Reading]:
        """Resolve the alert when the period is over or the spend has left the window."""
        return (
            [self._reading(balance, "clear", reported, self._over(balance, reported))] if reported[0] else []
        )

    def read_balance(self, reported: Reported, balance: Balance) -> Reading:
        """The reading for the end of a minute."""
        return self._reading(balance, "hold", reported, self._over(balance, reported))

    def due(self, pane: int, length: int, reported: Reported) -> int:
        """The pane at whose end a change in `pane` is read: its minute's last. length: of a pane, µs.

        FOREVER: none, because the budget is not shown and no alert fires.
        """
        if not (self.shown or reported[0]):
            return FOREVER
        return (window_start(pane * length, MINUTE) + MINUTE) // length - 1

    def text(self, integer: int) -> str:
        """An amount as people read it."""
        return amount(integer / self.scale, self.unit)

    def _reading(self, balance: Balance, verdict: Verdict, reported: Reported, note: str) -> Reading:
        firing = verdict != "clear" and reported[0] > 0
        steer = ""
        if firing and self.warn:
            steer = "warn" if reported[0] >= self.warn else ""
        if firing and self.block and reported[0] >= self.block:
            steer = "block"
        return Reading(
            at=balance.at,
            verdict=verdict,
            value=balance.spent / self.scale,
            limit=reported[1] / self.scale,
            level=f"{reported[0] / 100:g}%" if firing else "",
            begin=f"{balance.begin}-{reported[2]}",
            note=note,
            ends=balance.ends,
            steer=steer,
            unpriced=balance.without_price,
        )

    def _over(self, balance: Balance, reported: Reported) -> str:
        return f"overspent by {self.text(balance.spent - reported[1])}" if balance.spent > reported[1] else ""
