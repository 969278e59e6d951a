"""Finds the windows in which a rule may fire, with numpy, so that a backtest skips the other series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

SLACK: Final = 1e-6
"""How much laxer than the limit a screen is, as a share, because it computes with floats."""


class Counts(Protocol):
    """Counts of labels (bins of sketches, or tools): m keys, labels and counts, sorted by key."""

    @property
    def keys(self) -> Ints:
        """Keys of the entries that the counts belong to."""

    @property
    def labels(self) -> Ints:
        """A bin, or the code of a tool."""

    @property
    def counts(self) -> Ints:
        """The counts."""


class Entries(Protocol):
    """The sums of series and panes: n entries, one for each series and pane with calls, sorted by key.

    keys: the series' row and the pane in one integer, so that the panes of a series are neighbours.
    """

    @property
    def keys(self) -> Ints:
        """The key of each entry."""

    @property
    def panes(self) -> Ints:
        """The pane of each entry."""

    @property
    def bins(self) -> Counts:
        """Bins of the sketches."""

    @property
    def tools(self) -> Counts:
        """Calls of tools."""

    def __len__(self) -> int: ...
    def total(self, name: str) -> Ints:
        """A sum of each entry."""

    def top(self, name: str) -> Ints:
        """A maximum of each entry."""


@dataclass(frozen=True, slots=True)
class Windows:
    """2·n windows: of each entry the one that ends with its pane, then the one that ends when it leaves.

    starts, ends: the places of the entries in each window. panes: the last pane of each window.
    """

    entries: Entries
    starts: Ints
    ends: Ints
    panes: Ints

    @classmethod
    def of(cls, entries: Entries, panes: int, buckets: int) -> Windows:
        """The windows of this many buckets, each of this many panes."""
        keys, last = entries.keys, entries.panes
        rows, bucket = keys - last, last // panes
        leaves = (bucket + buckets) * panes
        first = np.searchsorted(keys, rows + (bucket - buckets + 1) * panes)
        later = np.searchsorted(keys, rows + (bucket + 1) * panes)
        ends = np.searchsorted(keys, rows + leaves, side="right")
        return cls(
            entries,
            np.concatenate((first, later)),
            np.concatenate((np.arange(1, len(keys) + 1), ends)),
            np.concatenate((last, leaves)),
        )

    def sum(self, values: Ints) -> Ints:
        """The sum over the entries of each window; values: one for each entry."""
        sums = np.concatenate(([0], np.cumsum(values)))
        windowed: Ints = sums[self.ends] - sums[self.starts]
        return windowed

    def totals(self, *names: str) -> Ints:
        """The total of these sums in each window."""
        return self.sum(
            sum((self.entries.total(name) for name in names), np.zeros(len(self.entries), np.int64))
        )

    def counted(self, keys: Ints, counts: Ints) -> Ints:
        """The sum of counts in each window; keys: of the entries that they belong to."""
        values = np.zeros(len(self.entries), np.int64)
        np.add.at(values, np.searchsorted(self.entries.keys, keys), counts)
        return self.sum(values)


@dataclass(frozen=True, slots=True)
class Screen:
    """Finds windows in which a rule may fire.

    window: its trailing window, µs. may_fire: for each window whether the rule may fire at its end. It may
    keep too many windows but never too few, because the detector decides.
    """

    window: int
    may_fire: Callable[[Windows], Flags]
