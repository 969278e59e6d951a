"""Computes what other prices would have made of past calls."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvitals.audit.past import Seen, day_of
from llmvitals.price import Reason
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.price import Cost, Prices
    from llmvitals.record.call import Call


@dataclass(slots=True)
class Repriced:
    """The calls of a team, a model and a day (UTC).

    changed: calls whose cost is another. old, new: nano-dollars. unpriced_before, unpriced_after: calls
    without a price.
    """

    team: str
    model: str
    day: str
    calls: int = 0
    changed: int = 0
    old: int = 0
    new: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def add(self, old: int | None, new: int | None) -> None:
        """Add a call with its costs in nano-dollars; None: it has no price."""
        self.calls += 1
        self.changed += old != new
        self.old += old or 0
        self.new += new or 0
        self.unpriced_before += old is None
        self.unpriced_after += new is None


class Repricing:
    """Prices calls twice. A call that came twice counts once.

    recompute: whether calls whose cost was given are priced anew, instead of having it under both prices.
    """

    def __init__(self, old: Prices, new: Prices, *, recompute: bool = False) -> None:
        self._old, self._new, self._recompute = old, new, recompute
        self._rows: dict[tuple[str, str, str], Repriced] = {}

    def take(self, call: Call, seen: Seen) -> None:
        """Add a call."""
        if seen is not Seen.NEW:
            return
        old, reason, _ = self._old.assess(call)
        if reason is Reason.NO_MODEL:
            return
        new, _, _ = self._anew(call, reason)
        key = (call.team or UNKNOWN, call.model or UNKNOWN, day_of(call))
        row = self._rows.get(key) or self._rows.setdefault(key, Repriced(*key))
        row.add(old, new)

    def _anew(self, call: Call, reason: Reason) -> Cost:
        if self._recompute and reason is Reason.GIVEN:
            return self._new.listed(call)
        return self._new.assess(call)

    def changed(self) -> list[Repriced]:
        """The rows with a cost that changes, by day, team and model."""
        rows = [row for row in self._rows.values() if row.changed]
        return sorted(rows, key=lambda row: (row.day, row.team, row.model))

    def total(self) -> Repriced:
        """The sums of all calls, also those whose cost stays."""
        return added_up("", list(self._rows.values()))

    def by(self, name: str) -> dict[str, Repriced]:
        """The sums of the changed rows by team, model or day."""
        groups: defaultdict[str, list[Repriced]] = defaultdict(list)
        for row in self.changed():
            groups[getattr(row, name)].append(row)
        return {value: added_up(value, rows) for value, rows in groups.items()}


def added_up(name: str, rows: Sequence[Repriced]) -> Repriced:
    """The sums of rows, under one name."""
    total = Repriced(name, name, name)
    for field in ("calls", "changed", "old", "new", "unpriced_before", "unpriced_after"):
        setattr(total, field, sum(getattr(row, field) for row in rows))
    return total
