"""The open panes of series that rules read: their sums, and whether they can matter at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from llmvitals.merge.bucket import Bucket, Slots, summed
from llmvitals.merge.plan import Panes, Rules, series_of
from llmvitals.record.vitals import Vitals, packed_amount

_Known = dict[int, tuple[tuple[int, ...], Vitals]]
"""Pane → the versions that it was summed from, and the sum."""


@dataclass(slots=True)
class _Amounts:
    """What the open panes of a series hold of what its rules limit.

    rules: state["rules"] at the time at which `least` was asked for. least: see Rules.headroom. panes:
    pane → the amounts in it, and total: those of all of them, in the order of `least`.
    """

    rules: object
    least: dict[tuple[str, ...], int]
    panes: dict[int, list[int]]
    total: list[int]

    def change(self, pane: int, slots: Slots) -> None:
        """Take a pane as it is now: without slots it has closed."""
        before = self.panes.pop(pane, None) or [0] * len(self.least)
        now = [sum(packed_amount(packed, names) for _, packed in slots.values()) for names in self.least]
        self.total = [total + new - old for total, new, old in zip(self.total, now, before, strict=True)]
        if slots:
            self.panes[pane] = now

    @property
    def small(self) -> bool:
        """Whether all amounts are below the least ones that matter."""
        return all(total < least for total, least in zip(self.total, self.least.values(), strict=True))


class OpenPaneCache:
    """Reads the open panes of series.

    Rules look at a series whenever one of its open panes grows. While one source is far behind the others,
    hundreds of panes stay open, and a frame changes few of them. So their sums are kept; and what rules
    limit, such as money, is added up apart, so that the panes are passed to the rules only if a limit can be
    reached.

    pane_us: the length of a pane, µs. rules: the rule engine.
    """

    def __init__(self, pane_us: int, rules: Rules) -> None:
        self._pane_us, self._rules = pane_us, rules
        self._known: dict[bytes, _Known] = {}
        self._amounts: dict[bytes, _Amounts] = {}

    def at(self, bucket: Bucket, key: bytes) -> Panes:
        """The open panes of a series, as far as they are counted."""
        cached, current = self._known.get(key, {}), _Known()
        for pane in sorted(bucket.opened):
            slots = bucket.opened[pane].get(key)
            if slots is None:
                continue
            versions = tuple(version for version, _ in slots.values())
            entry = cached.get(pane)
            if entry is None or entry[0] != versions:
                entry = versions, summed(slots, self._pane_us)
            current[pane] = entry
        self._known[key] = current
        return [(pane, vitals) for pane, (_, vitals) in current.items()]

    def matter(self, bucket: Bucket, key: bytes, grown: Collection[int]) -> bool:
        """Whether the rules may have something to say about the open panes of a series.

        grown: those that have changed since the last call.
        """
        state: dict[str, Any] = bucket.rule_states.get(key, {})
        amounts, rules = self._amounts.get(key), state.get("rules")
        if amounts is None or amounts.rules is not rules:
            least = self._rules.headroom(*series_of(key), state)
            if amounts is None or [*amounts.least] != [*least]:
                amounts = _Amounts(rules, least, {}, [0] * len(least))
                grown = [pane for pane, opened in bucket.opened.items() if key in opened]
            else:
                amounts.rules, amounts.least = rules, least
            self._amounts[key] = amounts
        for pane in grown:
            amounts.change(pane, bucket.opened.get(pane, {}).get(key, {}))
        return not amounts.small

    def forget(self, closed: Mapping[bytes, Panes]) -> None:
        """Drop panes that have closed."""
        for key, panes in closed.items():
            self._known.pop(key, None)
            amounts = self._amounts.get(key)
            if amounts is None:
                continue
            for pane, _ in panes:
                amounts.change(pane, {})
            if not amounts.panes:
                del self._amounts[key]
