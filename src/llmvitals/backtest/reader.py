"""Reads the calls of one source partition: as columns with their panes, and added up for some views."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from llmvitals.combine.codes import Codes, plain, profile
from llmvitals.combine.multi_valued import MultiValued, concatenate
from llmvitals.combine.open_panes import OpenPanes
from llmvitals.combine.pane import ON_TIME, Pane, emit
from llmvitals.combine.prepared import binned
from llmvitals.combine.stage import Combine
from llmvitals.record.view import Condition, View
from llmvitals.sketch.counters import SUM
from llmvitals.window import NEVER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from llmvitals.combine.columns import Columns
    from llmvitals.combine.plan import CombinePlan
    from llmvitals.record.log import Message, Record
    from llmvitals.record.rows import Rows

    Ints = NDArray[np.int64]


class Coder:
    """The codes of the values of each dimension, and of tools; shared by all partitions."""

    def __init__(self, dimensions: Sequence[str]) -> None:
        self.dimensions = tuple(dimensions)
        self.values = [Codes(_value) for _ in dimensions]
        self.tools: Codes[str] = Codes(plain)

    @property
    def every(self) -> list[list[str]]:
        """The names by code: of each dimension, and of tools. They only grow."""
        return [codes.names for codes in (*self.values, self.tools)]

    def code(self, columns: Columns, panes: Ints, quarters: Ints) -> Piece:
        """Encode calls."""
        pairs = zip(self.values, columns.dimensions, strict=True)
        values = np.array([codes.of(column, len(panes)) for codes, column in pairs], np.int64)
        tools = columns.tools
        if len(tools.places):
            codes = self.tools.of(tools.names.tolist(), len(tools.names))
            tools = MultiValued(tools.places, codes, tools.values)
        return Piece(panes, quarters, columns.vectors, values.reshape(len(self.values), len(panes)), tools)


@dataclass(frozen=True, slots=True)
class Piece:
    """n calls: their panes; vectors as Columns has them (HEIGHT × n); codes of dimensions (d × n); tools.

    quarters: of late calls the quarter of an hour of their own time (µs // QUARTER_HOUR), else ON_TIME.
    """

    panes: Ints
    quarters: Ints
    vectors: Ints
    values: Ints
    tools: MultiValued

    def __len__(self) -> int:
        return len(self.panes)

    def take(self, places: Ints) -> Piece:
        """Only the calls at these places, in this order."""
        return Piece(
            self.panes[places],
            self.quarters[places],
            np.take(self.vectors, places, axis=1),
            np.take(self.values, places, axis=1),
            self.tools.take(places),
        )


def together(pieces: Sequence[Piece]) -> Piece:
    """Concatenate pieces, at least one."""
    return Piece(
        np.concatenate([piece.panes for piece in pieces]),
        np.concatenate([piece.quarters for piece in pieces]),
        np.concatenate([piece.vectors for piece in pieces], axis=1),
        np.concatenate([piece.values for piece in pieces], axis=1),
        concatenate([(len(piece), piece.tools) for piece in pieces]),
    )


class Entries(NamedTuple):
    """What the calls of a view add up to: for each entry its series, vitals, pane and quarter (see Piece)."""

    view: str
    series: Sequence[tuple[str, ...]]
    rows: Rows
    panes: Ints
    quarters: Ints

    def only(self, wanted: NDArray[np.bool_]) -> Entries:
        """Only the wanted entries."""
        if wanted.all():
            return self
        places = np.flatnonzero(wanted)
        series = [self.series[place] for place in places.tolist()]
        return Entries(self.view, series, self.rows.take(places), self.panes[places], self.quarters[places])


class Reader(Combine):
    """Combine without frames: calls are read, deduplicated and assigned to panes.

    views: those whose panes are added up too, by grain: so many aligned panes are one entry, in the last of
    them. Their dimensions are among the coder's.
    """

    def __init__(
        self, plan: CombinePlan, coder: Coder, views: Mapping[int, Sequence[View]], source: str
    ) -> None:
        # A view of no calls gives the columns all dimensions, in the coder's order.
        nothing = tuple((name, Condition(negate=True)) for name in coder.dimensions)
        first = View("", coder.dimensions, nothing)
        plan = replace(plan, views=(first, *chain.from_iterable(views.values())), packed=False)
        super().__init__(plan, source=source, sources={}, parts={}, beginning=0)
        self._added = [
            _AddedPanes(replace(plan, views=tuple(some)), grain, plan.dimensions)
            for grain, some in views.items()
            if some
        ]
        self._collected = _CollectingPanes(plan, coder, self._added)
        self._open_panes = self._collected
        self._entries: list[Entries] = []

    def read(self, records: Sequence[Record]) -> list[Message]:
        """Read records in the order of the log; returns the dead letters."""
        letters = self.apply(records)
        self.delivered(self.mark())
        return letters

    def taken(self) -> tuple[list[Piece], list[Entries]]:
        """Take the calls that were read since the last call of this method, and the panes that closed."""
        taken = self._collected.pieces, self._entries
        self._collected.pieces, self._entries = [], []
        return taken

    def finish(self) -> list[Message]:
        """End the log: all panes are closed."""
        super().finish()
        self._add_entries()
        return []

    def _emit(self) -> list[Message]:
        self._emitted = max(self._emitted, self._clock.lowest_open(self.next))
        self._add_entries()
        return []

    def _add_entries(self) -> None:
        for added in self._added:
            self._entries += added.closed(self._emitted)


class _AddedPanes(OpenPanes):
    """Panes whose calls are added up: `grain` of combine's are one, by whose number it is divided.

    dimensions: of the columns that come. Calls are told apart only by those of the plan: in these most calls
    are alike, while each session is another one.
    """

    def __init__(self, plan: CombinePlan, grain: int, dimensions: Sequence[str]) -> None:
        super().__init__(plan, NEVER, {})
        self._grain = grain
        self._places = [dimensions.index(name) for name in plan.dimensions]

    def add(self, columns: Columns, panes: Ints, quarters: Ints) -> None:
        """Add calls. panes: of combine. quarters: see Piece."""
        columns = replace(columns, dimensions=tuple([columns.dimensions[place] for place in self._places]))
        numbers = panes // self._grain
        for number in {*numbers.tolist()} - self._panes.keys():
            interner = self._interners.newest()
            self._panes[number] = Pane(number, self._plan, interner, first=0, watermark=0, lowest=0)
        self._distribute(columns, numbers, quarters)
        self._limit_pending()

    def closed(self, low: int) -> list[Entries]:
        """The entries of what lies below a pane of combine, once."""
        done = [pane for number, pane in sorted(self._panes.items()) if (number + 1) * self._grain <= low]
        for pane in done:
            pane.closed = 0
            del self._panes[pane.number]
        return [
            Entries(found.view, found.series, found.rows, (panes + 1) * self._grain - 1, quarters)
            for found, panes, _, quarters in emit(done, self._plan)
        ]


class _CollectingPanes(OpenPanes):
    """Open panes that collect calls, also for those who add them up."""

    def __init__(self, plan: CombinePlan, coder: Coder, added: Sequence[_AddedPanes]) -> None:
        super().__init__(plan, NEVER, {})
        self.pieces: list[Piece] = []
        self._coder, self._added = coder, added

    def _distribute(self, columns: Columns, panes: Ints, quarters: Ints) -> None:
        late = np.flatnonzero(quarters != ON_TIME)
        kept = quarters.copy()
        for place, pane, quarter in zip(late, panes[late].tolist(), quarters[late].tolist(), strict=True):
            kept[place] = self._panes[pane].kept(quarter)
        for added in self._added:
            added.add(columns, panes, kept)
        self.pieces.append(self._coder.code(columns, panes, kept))


def _value(value: Any) -> str:
    return profile((value,))[0]


@dataclass
class Block:
    """A piece of calls; what several rules read of it is computed once. entries: the panes added up."""

    piece: Piece
    entries: Sequence[Entries] = ()
    _bins: dict[tuple[str, ...], MultiValued] = field(default_factory=dict)

    def only(self, wanted: NDArray[np.bool_]) -> Block:
        """Only the wanted calls; entries are not divided."""
        return Block(self.piece.take(np.flatnonzero(wanted)), self.entries)

    def read_by(self, reads: Collection[str | None]) -> Block:
        """What evaluators read of it; see SeriesEvaluator.reads."""
        calls = self if None in reads else self.only(np.zeros(len(self.panes), np.bool_))
        return Block(calls.piece, [part for part in self.entries if part.view in reads])

    @property
    def panes(self) -> Ints:
        """The pane of each call."""
        return self.piece.panes

    @property
    def quarters(self) -> Ints:
        """The quarter of an hour of each late call's own time, else ON_TIME."""
        return self.piece.quarters

    @property
    def vectors(self) -> Ints:
        """What each call adds to counters.SUMS: a row for each sum."""
        return self.piece.vectors

    @property
    def values(self) -> Ints:
        """The code of each call in each dimension."""
        return self.piece.values

    @cached_property
    def tools(self) -> MultiValued:
        """The tools that calls ask for. Duplicates count no tools, as in combine."""
        places, codes, values = self.piece.tools
        if not len(places):
            return self.piece.tools
        asked = self.vectors[SUM["calls"], places] > 0
        return MultiValued(places[asked], codes[asked], values[asked])

    def binned(self, sketches: tuple[str, ...]) -> MultiValued:
        """The bins of calls in these sketches."""
        if sketches not in self._bins:
            places, bins = binned(self.vectors, sketches)
            self._bins[sketches] = MultiValued(places, bins, np.ones(len(places), np.int64))
        return self._bins[sketches]
