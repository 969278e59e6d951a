"""The open panes of series that rules read: their sums, and whether they can matter at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from llmvitals.merge.bucket import Bucket, Slots, summed
from llmvitals.merge.plan import MergePlan, Panes
from llmvitals.merge.series_table import PlacedRows
from llmvitals.record.details import Details
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_of
from llmvitals.record.vitals import TOOL_CALLS, Vitals, merged, packed_amount
from llmvitals.sketch.counters import SUM

_Known = dict[int, tuple[tuple[int, ...], Vitals]]
"""Pane → the versions that it was summed from, and the sum."""


class _Newest(NamedTuple):
    """The newest row of a series, pane and source. place: in the rows."""

    version: int
    rows: Rows
    place: int

    def vitals(self) -> Vitals:
        return next(self.rows.take(np.array([self.place])).vitals())

    def amount(self, names: Sequence[str]) -> int:
        """The sum of some of counters.SUMS and TOOL_CALLS."""
        amount = sum(int(self.rows.sums[self.place, SUM[name]]) for name in names if name != TOOL_CALLS)
        details = self.rows.details.get(self.place)
        if TOOL_CALLS in names and details is not None:
            tools = Details.unpack(details).contributors.get("tool", {})
            amount += sum(share[0] for share in tools.values())
        return amount


class _OpenPane(NamedTuple):
    """An open pane of a series: the newest of each source, and what the bucket keeps apart."""

    sources: Collection[_Newest]
    apart: Slots

    def amount(self, names: Sequence[str]) -> int:
        amount = sum(newest.amount(names) for newest in self.sources)
        return amount + sum(packed_amount(packed, names) for _, packed in self.apart.values())

    @property
    def versions(self) -> tuple[int, ...]:
        return (
            *(newest.version for newest in self.sources),
            -1,
            *(version for version, _ in self.apart.values()),
        )

    def summed(self, pane_us: int) -> Vitals:
        apart = summed(self.apart, pane_us)
        whole = merged([*(newest.vitals() for newest in self.sources), replace(apart, late={})])
        return replace(whole, late=apart.late) if apart.late else whole


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

    def change(self, pane: int, content: _OpenPane | None) -> None:
        """Take a pane as it is now; None: it has closed."""
        before = self.panes.pop(pane, None) or [0] * len(self.least)
        now = [content.amount(names) if content else 0 for names in self.least]
        self.total = [total + new - old for total, new, old in zip(self.total, now, before, strict=True)]
        if content:
            self.panes[pane] = now

    @property
    def small(self) -> bool:
        """Whether all amounts are below the least ones that matter."""
        return all(total < least for total, least in zip(self.total, self.least.values(), strict=True))


class OpenPaneCache:
    """Reads the open panes of series of eager views.

    Rules look at a series whenever one of its open panes grows. While one source is far behind the others,
    hundreds of panes stay open, and a frame changes few of them. So their sums are kept; and what rules
    limit, such as money, is added up apart, so that the panes are passed to the rules only if a limit can be
    reached.
    """

    def __init__(self, plan: MergePlan, restored: Iterable[Bucket]) -> None:
        self._plan = plan
        self._newest: dict[bytes, dict[int, dict[str, _Newest]]] = {}
        self._known: dict[bytes, _Known] = {}
        self._amounts: dict[bytes, _Amounts] = {}
        for bucket in restored:
            self._restore(bucket)

    def put(self, source: str, part: PlacedRows) -> list[int]:
        """Note rows of an eager view, and return the places of those that are newer than what is there."""
        newer = []
        for place, (key, pane) in enumerate(zip(part.names, part.panes.tolist(), strict=True)):
            sources = self._newest.setdefault(key, {}).setdefault(pane, {})
            if source not in sources or sources[source].version < part.version:
                sources[source] = _Newest(part.version, part.rows, place)
                newer.append(place)
        return newer

    def at(self, bucket: Bucket, key: bytes) -> Panes:
        """The open panes of a series, as far as they are counted."""
        cached, current = self._known.get(key, {}), _Known()
        for pane, content in sorted(self._open(bucket, key).items()):
            entry = cached.get(pane)
            if entry is None or entry[0] != content.versions:
                entry = content.versions, content.summed(self._plan.pane_us)
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
            least = self._plan.engine.headroom(*series_of(key), state)
            if amounts is None or [*amounts.least] != [*least]:
                amounts = _Amounts(rules, least, {}, [0] * len(least))
                grown = self._open(bucket, key).keys()
            else:
                amounts.rules, amounts.least = rules, least
            self._amounts[key] = amounts
        for pane in grown:
            amounts.change(pane, self._pane(bucket, key, pane))
        return not amounts.small

    def forget(self, closed: Iterable[bytes], low: int) -> None:
        """Drop panes that have closed: those of these series below `low`."""
        for key in closed:
            self._known.pop(key, None)
            if (panes := self._newest.get(key)) is not None:
                for pane in [pane for pane in panes if pane < low]:
                    del panes[pane]
                if not panes:
                    del self._newest[key]
            if (amounts := self._amounts.get(key)) is not None:
                for pane in [pane for pane in amounts.panes if pane < low]:
                    amounts.change(pane, None)
                if not amounts.panes:
                    del self._amounts[key]

    def _open(self, bucket: Bucket, key: bytes) -> dict[int, _OpenPane]:
        panes = {*self._newest.get(key, ()), *(pane for pane, keys in bucket.apart.items() if key in keys)}
        return {pane: _OpenPane(*self._parts(bucket, key, pane)) for pane in panes}

    def _pane(self, bucket: Bucket, key: bytes, pane: int) -> _OpenPane | None:
        sources, apart = self._parts(bucket, key, pane)
        return _OpenPane(sources, apart) if sources or apart else None

    def _parts(self, bucket: Bucket, key: bytes, pane: int) -> tuple[Collection[_Newest], Slots]:
        sources = self._newest.get(key, {}).get(pane, {})
        return sources.values(), bucket.apart.get(pane, {}).get(key, {})

    def _restore(self, bucket: Bucket) -> None:
        for view, table in bucket.tables.items():
            whole = table.open.whole() if self._plan.eager(view) else None
            if whole is None:
                continue
            found, versions, sources, *_ = whole
            for number, version in sorted({*zip(sources.tolist(), versions.tolist(), strict=True)}):
                rows = found.take(np.flatnonzero((sources == number) & (versions == version)))
                part = PlacedRows(view, table.name(rows), rows.starts, version, rows.rows, eager=True)
                self.put(table.sources[number], part)
