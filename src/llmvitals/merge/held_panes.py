"""Closed panes that no rule says anything about: the rule states get them later, when there is time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Final

import numpy as np

from llmvitals.merge.bucket import Bucket, ClosedPanes, HeldPane
from llmvitals.merge.open_panes import OpenPaneCache
from llmvitals.merge.plan import MergePlan, Panes
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_of

MOST: Final = 1_024
"""Panes that are absorbed at a time, some 30 ms."""


class HeldPanes:
    """Holds closed panes of eager views (see Bucket.held), so that breaches do not wait for them.

    At the end of a pane all series close at once, while most budgets are far from their limits. Law: when a
    series is evaluated or saved, its state is what it would be if nothing had been held.
    """

    def __init__(self, plan: MergePlan, open_panes: OpenPaneCache) -> None:
        self._plan, self._open_panes = plan, open_panes

    def hold(self, bucket: Bucket, view: str, closed: ClosedPanes, low: int) -> ClosedPanes:
        """Hold the panes below `low` about which no rule says anything, and return the others."""
        bucket.held_floor, (rows, late) = low, closed
        apart, kept = {key for _, key in late}, list[int]()
        names, held, hold = bucket.table(view).name(rows), bucket.held, self._open_panes.hold
        for row, (key, pane) in enumerate(zip(names, rows.starts.tolist(), strict=True)):
            if key not in apart and hold(bucket, key, low):
                held.setdefault(key, []).append(HeldPane(pane, rows.rows, row))
                bucket.rule_states.setdefault(key, {})
            else:
                kept.append(row)
        return closed if len(kept) == len(names) else ClosedPanes(rows.take(np.array(kept, np.int64)), late)

    def absorb(self, bucket: Bucket, keys: Iterable[bytes] | None = None) -> int:
        """Bring the states of these series (None: all) up to date; return how many panes were held."""
        held = bucket.held
        taken = {key: held.pop(key) for key in ([*held] if keys is None else keys) if key in held}
        engine, states, floor = self._plan.engine, bucket.rule_states, bucket.held_floor
        for key, panes in _read(taken).items():
            engine.absorb(*series_of(key), states[key], floor=floor, closed=panes)
            self._open_panes.evaluated(key, states[key])
            bucket.rules_due = min(bucket.rules_due, engine.due(states[key]))
            if not states[key]:
                del states[key]
        return sum(map(len, taken.values()))

    def absorb_some(self, buckets: Iterable[Bucket]) -> None:
        """Bring the states of about MOST panes up to date."""
        left = MOST
        for bucket in buckets:
            if bucket.held and left > 0:
                left -= self.absorb(bucket, [*islice(bucket.held, left)])


def _read(held: Mapping[bytes, Sequence[HeldPane]]) -> dict[bytes, Panes]:
    """Series → its panes, in order. Rows are read together, which is faster."""
    places: dict[int, tuple[Rows, list[int]]] = {}
    for _, rows, row in chain.from_iterable(held.values()):
        places.setdefault(id(rows), (rows, []))[1].append(row)
    vitals = {number: rows.take(np.array(some)).vitals() for number, (rows, some) in places.items()}
    return {key: [(pane, next(vitals[id(rows)])) for pane, rows, _ in panes] for key, panes in held.items()}
