"""The open panes of series that rules read: their sums, and whether they can matter at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
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

_Names = tuple[str, ...]
"""Some of counters.SUMS and TOOL_CALLS."""


class _Part:
    """Rows that a source sent together, and the amounts in them that were asked for."""

    __slots__ = ("_amounts", "rows", "version")

    def __init__(self, version: int, rows: Rows) -> None:
        self.version, self.rows = version, rows
        self._amounts: dict[_Names, list[int]] = {}

    def amounts(self, names: _Names) -> list[int]:
        """The sum of these names in each row."""
        found = self._amounts.get(names)
        if found is None:
            found = self._amounts[names] = self._added(names)
        return found

    def vitals(self, row: int) -> Vitals:
        return next(self.rows.part(row, row + 1).vitals())

    def _added(self, names: _Names) -> list[int]:
        columns = [self.rows.sums[:, SUM[name]].tolist() for name in names if name != TOOL_CALLS]
        if TOOL_CALLS in names:
            columns.append([self._tool_calls(row) for row in range(len(self.rows))])
        return [sum(column) for column in zip(*columns, strict=True)] if columns else [0] * len(self.rows)

    def _tool_calls(self, row: int) -> int:
        details = self.rows.details.get(row)
        tools = Details.unpack(details).contributors.get("tool", {}) if details is not None else {}
        return sum(share[0] for share in tools.values())


_Newest = tuple[_Part, int]
"""The newest row of a series, pane and source: its part, and its place there."""


class _OpenPane(NamedTuple):
    """An open pane of a series: the newest of each source, and what the bucket keeps apart."""

    sources: Sequence[_Newest]
    apart: Slots

    @property
    def versions(self) -> tuple[int, ...]:
        return (
            *(part.version for part, _ in self.sources),
            -1,
            *(version for version, _ in self.apart.values()),
        )

    def summed(self, pane_us: int) -> Vitals:
        apart = summed(self.apart, pane_us)
        whole = merged([*(part.vitals(row) for part, row in self.sources), replace(apart, late={})])
        return replace(whole, late=apart.late) if apart.late else whole


@dataclass(slots=True)
class _Series:
    """The open panes of a series.

    newest: pane and source → the newest row. left: what the open panes may hold in addition until they
    matter, by what rules limit; None: it has to be counted again. settled: panes that don't count towards
    that, as their rules have said everything. rules: state["rules"] at the time at which `left` was counted.
    quiet: whether closed panes change nothing either, see Rules.quiet. summed: pane → the versions that it
    was summed from, and the sum.
    """

    newest: dict[tuple[int, str], _Newest] = field(default_factory=dict)
    left: dict[_Names, int] | None = None
    settled: range = range(0)
    rules: object = None
    quiet: bool = False
    summed: dict[int, tuple[tuple[int, ...], Vitals]] = field(default_factory=dict)

    @property
    def small(self) -> bool:
        """Whether the open panes are too small to matter."""
        return not self.left or min(self.left.values()) > 0

    def drop(self, low: int) -> None:
        """Drop the panes below `low`, which have closed."""
        for at in [at for at in self.newest if at[0] < low]:
            del self.newest[at]
        for pane in [pane for pane in self.summed if pane < low]:
            del self.summed[pane]


class OpenPaneCache:
    """Reads the open panes of series of eager views.

    Rules look at a series whenever one of its open panes grows. While one source is far behind the others,
    hundreds of panes stay open, and a frame changes few of them. So their sums are kept; and what rules
    limit, such as money, is added up apart, so that the panes are passed to the rules only if a limit can be
    reached.
    """

    def __init__(self, plan: MergePlan, restored: Iterable[Bucket]) -> None:
        self._plan = plan
        self._series = defaultdict[bytes, _Series](_Series)
        self._suspects = set[bytes]()  # all others are counted, and too small to matter
        for bucket in restored:
            self._restore(bucket)

    def put(self, source: str, part: PlacedRows) -> list[int]:
        """Note rows of an eager view, and return the places of those that are newer than what is there."""
        newer, new, version = [], _Part(part.version, part.rows), part.version
        for row, (key, pane) in enumerate(zip(part.names, part.panes.tolist(), strict=True)):
            series, at = self._series[key], (pane, source)
            known = series.newest.get(at)
            if known is not None and known[0].version >= version:
                continue
            series.newest[at] = new, row
            newer.append(row)
            if (left := series.left) is None:
                self._suspects.add(key)
                continue
            for names in left if pane not in series.settled else ():
                more = new.amounts(names)[row]
                left[names] -= more if known is None else more - known[0].amounts(names)[known[1]]
                if left[names] <= 0:
                    self._suspects.add(key)
        return newer

    def put_apart(self, key: bytes) -> None:
        """Note that something was put apart for a series."""
        self._count_again(key, self._series[key])

    def evaluated(self, key: bytes, state: Mapping[str, Any]) -> None:
        """Note the rule state of a series; if its rules say something else, what is left is counted again."""
        series = self._series.get(key)
        if series is not None and series.rules is not state.get("rules"):
            self._count_again(key, series)

    def at(self, bucket: Bucket, key: bytes) -> Panes:
        """The open panes of a series, as far as they are counted."""
        series, current = self._series.get(key) or _Series(), {}
        for pane, content in sorted(_open(bucket, key, series).items()):
            entry = series.summed.get(pane)
            if entry is None or entry[0] != content.versions:
                entry = content.versions, content.summed(self._plan.pane_us)
            current[pane] = entry
        series.summed = current
        return [(pane, vitals) for pane, (_, vitals) in current.items()]

    def matter(self, bucket: Bucket, keys: AbstractSet[bytes]) -> AbstractSet[bytes]:
        """Those series about whose open panes the rules may have something to say."""
        # Not `keys & suspects`: a set that was large once takes long to be looked through.
        suspects = self._suspects
        return {key for key in keys if key in suspects and not self._small(bucket, key, self._series[key])}

    def hold(self, bucket: Bucket, key: bytes, floor: int) -> bool:
        """Whether panes of a series that close may be held; if so, those below the floor are dropped here."""
        series = self._series.get(key)
        if series is None or not (self._small(bucket, key, series) and series.quiet):
            return False
        series.drop(floor)
        return True

    def forget(self, closed: Iterable[bytes], low: int) -> None:
        """Drop panes that have closed: those of these series below `low`."""
        for key in closed:
            if (series := self._series.get(key)) is not None:
                series.drop(low)
                self._count_again(key, series)
                if not series.newest:
                    del self._series[key]
                    self._suspects.discard(key)

    def _count_again(self, key: bytes, series: _Series) -> None:
        series.left = None
        self._suspects.add(key)

    def _small(self, bucket: Bucket, key: bytes, series: _Series) -> bool:
        """Whether the open panes are too small to matter. What is left is counted if it has to be."""
        if key not in self._suspects:
            return True
        if series.left is None:
            self._count(bucket, key, series)
        if series.small:
            self._suspects.discard(key)
        return series.small

    def _count(self, bucket: Bucket, key: bytes, series: _Series) -> None:
        """Count what is left from the beginning."""
        state: dict[str, Any] = bucket.rule_states.get(key, {})
        least, settled = self._plan.engine.headroom(*series_of(key), state)
        series.rules, series.left, series.settled = state.get("rules"), {}, settled
        rows = [newest for (pane, _), newest in series.newest.items() if pane not in settled]
        apart = [keys.get(key, {}) for pane, keys in bucket.apart.items() if pane not in settled]
        slots = [packed for each in apart for _, packed in each.values()]
        for names, amount in least.items():
            held = sum(part.amounts(names)[row] for part, row in rows)
            series.left[names] = amount - held - sum(packed_amount(packed, names) for packed in slots)
        series.quiet = series.small and self._plan.engine.quiet(*series_of(key), state)

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


def _open(bucket: Bucket, key: bytes, series: _Series) -> dict[int, _OpenPane]:
    """Pane → what it holds of a series."""
    sources: dict[int, list[_Newest]] = {}
    for (pane, _), newest in series.newest.items():
        sources.setdefault(pane, []).append(newest)
    apart = {pane: keys[key] for pane, keys in bucket.apart.items() if key in keys}
    return {pane: _OpenPane(sources.get(pane, ()), apart.get(pane, {})) for pane in {*sources, *apart}}
