"""A bucket: the state of some of a shard's series. Details of vitals stay packed until they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from llmvitals.merge.series_rows import SeriesRows
from llmvitals.merge.series_table import PlacedRows, SeriesTable
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_of
from llmvitals.record.vitals import Vitals, merged
from llmvitals.window import FOREVER, NEVER, QUARTER_HOUR

Slots = dict[str, tuple[int, bytes]]
"""`slot_of` a source → the greatest version, and its packed vitals."""
Late = Mapping[tuple[int, bytes], Mapping[int, Vitals]]
"""Pane and key of a series → its late calls by the quarter of an hour of their own time."""

_MOVED: Final = "@"
"""Separates a source and the closed pane that its vitals belong to. No topic's name contains it."""
_QUARTER: Final = "#"
"""Separates these and the quarter of an hour of late calls' own time. No topic's name contains it."""
_CUT: Final = " "
"""Separates these and the key of a series that is counted in OTHER. No topic's name contains it."""


class ClosedPanes(NamedTuple):
    """The panes of a view that closed: a row for each pane and series, and the late calls in them apart."""

    rows: SeriesRows
    late: Late


class HeldPane(NamedTuple):
    """A closed pane of a series: the rows that it is in, and its place there."""

    pane: int
    rows: Rows
    row: int


@dataclass(slots=True)
class Bucket:
    """The state of a bucket; see merge.packed_bucket for how checkpoints store it.

    applied: frames below this offset are contained. tables: view → its series. apart: pane → series → slots,
    for entries that a table can't hold: late ones, moved ones, and those that are counted in OTHER.
    rule_states: home (see View) → the state of the rules. rules_due: no rule is due at a lower floor. held:
    series → panes that closed with the last rise of the floor, to held_floor, and that its rule state still
    lacks, because no rule says anything about them; a checkpoint has none.
    """

    applied: int
    tables: dict[str, SeriesTable] = field(default_factory=dict)
    apart: dict[int, dict[bytes, Slots]] = field(default_factory=dict)
    rule_states: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    rules_due: int = NEVER
    held: dict[bytes, list[HeldPane]] = field(default_factory=dict)
    held_floor: int = NEVER

    def put_rows(self, source: str, part: PlacedRows) -> None:
        """Add rows; which of a source's versions counts is decided when they are read."""
        self.table(part.view).put(source, part)

    def put(self, pane: int, key: bytes, slot: str, content: tuple[int, bytes]) -> bool:
        """Store (version, packed vitals) in a slot if the version is newer. Returns whether it was."""
        slots = self.apart.setdefault(pane, {}).setdefault(key, {})
        previous = slots.get(slot)
        if previous is not None and previous[0] >= content[0]:
            return False
        slots[slot] = content
        return True

    def table(self, view: str) -> SeriesTable:
        """The table of a view."""
        table = self.tables.get(view)
        if table is None:
            table = self.tables[view] = SeriesTable()
        return table

    def close(self, low: int, pane_us: int, counters: Counter[str]) -> dict[str, ClosedPanes]:
        """Remove the panes below `low`, and return view → its closed panes, summed over all sources.

        counters: "stale" rows, which had a newer version.
        """
        apart: dict[str, list[tuple[int, bytes, Vitals]]] = {}
        for pane in sorted(pane for pane in self.apart if pane < low):
            for key, slots in self.apart.pop(pane).items():
                apart.setdefault(series_of(key)[0], []).append((pane, key, summed(slots, pane_us)))
        closed: dict[str, ClosedPanes] = {}
        for view in dict.fromkeys((*self.tables, *apart)):
            rows, stale = self.table(view).open.close(low)
            counters["stale"] += stale
            added = _with_apart(self.table(view), rows, apart.get(view, ()))
            if added is not None:
                closed[view] = added
        return closed

    def panes(self, low: int) -> Counter[int]:
        """Pane → how many rows it has, for the open panes below `low`."""
        counts = Counter({pane: len(keys) for pane, keys in self.apart.items() if pane < low})
        for table in self.tables.values():
            counts += table.open.counts(low)
        return counts

    @property
    def rows(self) -> int:
        """How many rows the open panes have."""
        return sum(len(table.open) for table in self.tables.values()) + sum(map(len, self.apart.values()))

    @property
    def lowest(self) -> int:
        """The lowest open pane; FOREVER if there is none."""
        return min((*self.apart, *(table.open.lowest for table in self.tables.values())), default=FOREVER)

    @property
    def highest(self) -> int:
        """The highest open pane; below 0 if there is none."""
        return max((*self.apart, *(table.open.highest for table in self.tables.values())), default=-1)

    def floors(self, low: int, most: int) -> Iterator[int]:
        """Split the rise of the floor to `low` into steps of at most so many panes of series.

        A single pane is never split.
        """
        work = 0
        for pane, count in sorted(self.panes(low).items()) if self.rows > most else ():
            if work and work + count > most:
                yield pane
                work = 0
            work += count
        yield low

    def series(self) -> int:
        """How many series this bucket has."""
        keys: set[bytes] = set(self.rule_states)
        keys.update(*self.apart.values(), *(table.live() for table in self.tables.values()))
        return len(keys)

    def tidy(self) -> None:
        """Drop the tables and names of which nothing is left."""
        for view, table in [*self.tables.items()]:
            if table.empty:
                del self.tables[view]
            else:
                table.give_back()


def _with_apart(
    table: SeriesTable, rows: SeriesRows | None, apart: Sequence[tuple[int, bytes, Vitals]]
) -> ClosedPanes | None:
    if not apart:
        return None if rows is None else ClosedPanes(rows, {})
    added = table.rows([(pane, key, replace(vitals, late={})) for pane, key, vitals in apart])
    late = {(pane, key): vitals.late for pane, key, vitals in apart if vitals.late}
    parts = [added] if rows is None else [rows, added]
    return ClosedPanes(SeriesRows.concatenated(parts).summed(), late)


def slot_of(source: str, *, closed: int | None = None, quarter: int | None = None, cut: bytes = b"") -> str:
    """The slot of a source's vitals in a pane.

    closed: the pane of the vitals, if it has closed and they are counted in this one. quarter: that of the
    own time of late calls. cut: the key of their series, if they are counted in OTHER.
    """
    slot = source if closed is None else f"{source}{_MOVED}{closed}"
    if quarter is not None:
        slot = f"{slot}{_QUARTER}{quarter}"
    return f"{slot}{_CUT}{cut.decode()}" if cut else slot


def summed(slots: Slots, pane_us: int) -> Vitals:
    """Sum the slots of a series in a pane.

    Late calls are summed apart (see Vitals.late). Those that were moved from a closed pane are all late.
    """
    on_time: list[Vitals] = []
    late: dict[int, list[Vitals]] = {}
    for slot, (_, packed) in slots.items():
        vitals = Vitals.unpack(packed)
        source = slot.partition(_CUT)[0]
        if _QUARTER in source or _MOVED in source:
            late.setdefault(_quarter(source, pane_us), []).append(vitals.marked_late())
        else:
            on_time.append(vitals)
    whole = merged(on_time)
    return replace(whole, late={number: merged(late[number]) for number in sorted(late)}) if late else whole


def _quarter(slot: str, pane_us: int) -> int:
    """The quarter of an hour of a slot's late calls: named, or that of the closed pane they belong to."""
    moved, named, quarter = slot.partition(_QUARTER)
    return int(quarter) if named else int(moved.partition(_MOVED)[2]) * pane_us // QUARTER_HOUR


def vitals_of(table: SeriesTable, closed: ClosedPanes) -> Iterator[tuple[bytes, int, Vitals]]:
    """Series, pane and vitals of closed panes, in order."""
    rows, late = closed
    keys = zip(table.name(rows), rows.starts.tolist(), rows.rows.vitals(), strict=True)
    for key, pane, vitals in keys:
        apart = late.get((pane, key)) if late else None
        yield key, pane, replace(vitals, late=apart) if apart else vitals
