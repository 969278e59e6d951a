"""A block of calls from many panes that are evaluated at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from llmvitals.combine.multi_valued import MultiValued
from llmvitals.combine.prepared import binned
from llmvitals.sketch.counters import SUM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.backtest.reader import Piece

    Ints = NDArray[np.int64]


@dataclass
class Block:
    """A piece of calls; what several rules read of it is computed once."""

    piece: Piece
    _bins: dict[tuple[str, ...], MultiValued] = field(default_factory=dict)

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
