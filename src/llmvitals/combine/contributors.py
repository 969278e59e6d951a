"""Reads the heaviest contributors of series from sums by series and contributor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.prepared import KIND
from llmvitals.combine.sparse_sums import SHIFT, Sums
from llmvitals.sketch import top_k

Ints = NDArray[np.int64]

_AT_ONCE: Final = 64
"""Rows of which objects are made at once: few enough that they are still in the processor's cache."""
_FEW: Final = 32
"""With fewer contributors than this in a row, it is cheaper to make objects of all of them at once."""


def heaviest(
    sums: Sums, rows: Ints, names: Mapping[str, Sequence[str]], most: int
) -> Iterator[top_k.Contributors]:
    """The `most` heaviest contributors of each of these rows.

    rows: ascending. names: kind → the names by their codes, all that the sums have, in the order of
    top_k.KINDS.
    """
    if not most or not len(sums):
        for _ in range(len(rows)):
            yield {}
        return
    kinds = [top_k.KINDS.index(kind) << KIND for kind in names]
    bounds = np.append((rows[:, None] << SHIFT) + kinds, (rows[:, None] + 1) << SHIFT, axis=1)
    labels, shares, edges = sums.cut(bounds.ravel())
    codes, edges_of = labels & (1 << KIND) - 1, np.array(edges).reshape(bounds.shape)
    for start in range(0, len(rows), _AT_ONCE):
        yield from _of_rows(codes, shares, edges_of[start : start + _AT_ONCE], names, most=most)


def _of_rows(
    codes: Ints, shares: Ints, edges: Ints, names: Mapping[str, Sequence[str]], *, most: int
) -> Iterator[top_k.Contributors]:
    """Of some rows. edges: where each kind of each row begins in codes and shares, and its last one ends."""
    first, last = int(edges[0, 0]), int(edges[-1, -1])
    few = last - first <= _FEW * len(edges)
    listed = list(zip(*shares[:, first:last].tolist(), strict=True)) if few else []
    coded = codes[first:last].tolist() if few else []
    columns = [(column, kind, named) for column, (kind, named) in enumerate(names.items())]
    for spans in (edges - first).tolist():
        found: top_k.Contributors = {}
        for column, kind, named in columns:
            start, end = spans[column], spans[column + 1]
            if few and end - start == 1:
                found[kind] = {named[coded[start]]: listed[start]}
            elif few and start < end <= start + most:
                found[kind] = {named[coded[place]]: listed[place] for place in range(start, end)}
            elif start < end:
                inside = slice(first + start, first + end)
                found[kind] = _heaviest(codes[inside], shares[:, inside], named, most)
        yield found


def _heaviest(codes: Ints, shares: Ints, names: Sequence[str], most: int) -> dict[str, top_k.Share]:
    """Select the `most` heaviest, as top_k.heaviest does. shares (fields of top_k.Share × n)."""
    if len(codes) <= most:
        return _named(codes, shares, names)
    calls, cost, tokens, *_ = shares
    sure, tied, left = [], np.arange(len(codes)), most
    # Names are compared only where cost, tokens and calls are all equal.
    for column in (cost, tokens, calls):
        values = column[tied]
        bound = np.partition(values, len(values) - left)[len(values) - left]
        sure.append(tied[values > bound])
        tied, left = tied[values == bound], left - len(sure[-1])
        if len(tied) <= left:
            return _named(codes[(places := np.concatenate([*sure, tied]))], shares[:, places], names)
    places = np.concatenate([*sure, tied])
    return dict(top_k.heaviest(_named(codes[places], shares[:, places], names), most))


def _named(codes: Ints, shares: Ints, names: Sequence[str]) -> dict[str, top_k.Share]:
    return dict(
        zip([names[code] for code in codes.tolist()], zip(*shares.tolist(), strict=True), strict=True)
    )
