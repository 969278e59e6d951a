"""Calls of one pane, made ready once and then added to the table of every view."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.columns import SPEED_US
from llmvitals.combine.interner import PROFILE, Coded, Interner
from llmvitals.combine.sums import NO_MARKS, Marks
from llmvitals.sketch import quantiles, top_k
from llmvitals.sketch.counters import SUM, SUMS
from llmvitals.sketch.scores import MICRO, ROOT

Ints = NDArray[np.int64]

KIND: Final = 28
"""A contributor's label is kind << KIND | code."""
_BINS: Final = np.arange(len(quantiles.SKETCHES) * quantiles.STRIDE)


@dataclass(slots=True)
class Chunk:
    """n calls: their vectors (SUMS × n), the bins of their sketches, their contributors, a trace id each.

    lines: those of the vectors that have anything in them. tools: contributors as well. scores: of each a
    sketch.scores.Score.
    """

    vectors: Ints
    lines: list[int]
    bins: Marks
    who: Marks
    tools: Marks
    scores: Marks
    traces: Sequence[str]

    def of(self, wanted: NDArray[np.bool_]) -> Chunk:
        """Only the wanted calls."""
        return Chunk(
            np.compress(wanted, self.vectors, axis=1),
            self.lines,
            self.bins.only(wanted),
            self.who.only(wanted),
            self.tools.only(wanted),
            self.scores.only(wanted),
            [self.traces[i] for i in np.flatnonzero(wanted).tolist()],
        )


def prepare(coded: Coded, book: Interner) -> Chunk:
    """Make calls ready."""
    vectors = coded.matrix[: len(SUMS)]
    lines = np.flatnonzero(vectors.any(axis=1)).tolist()
    return Chunk(
        vectors,
        lines,
        Marks.of(*binned(coded.matrix, quantiles.SKETCHES), _BINS, np.ones((1, vectors.shape[1]), np.int64)),
        _who(coded.matrix, book),
        _tools(coded, book),
        _scores(coded, book),
        coded.traces,
    )


def binned(v: Ints, sketches: Collection[str]) -> tuple[Ints, Ints]:
    """Places of calls (v: their vectors) and keys of bins: one in every sketch whose value is known of it."""
    speed = v[SPEED_US]
    known = {
        "latency_ms": (v[SUM["latency_count"]] > 0, v[SUM["latency_us"]], 1_000),
        "ttft_ms": (v[SUM["ttft_count"]] > 0, v[SUM["ttft_us"]], 1_000),
        # Costs are sketched in millionths of a dollar.
        "cost_usd_per_call": (v[SUM["priced_calls"]] > 0, v[SUM["cost_nano"]], 1_000),
        "input_tokens_per_call": (v[SUM["usage_calls"]] > 0, v[SUM["input_tokens"]], 1),
        "output_tokens_per_s": (
            (speed > 0) & (v[SUM["output_tokens"]] > 0),
            v[SUM["output_tokens"]] * 1_000_000,
            np.maximum(speed, 1),
        ),
        "toxicity": (v[SUM["toxicity_count"]] > 0, v[SUM["toxicity_micro"]], 10_000),
    }  # fmt: skip
    places, codes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for sketch, (there, value, unit) in known.items():
        if sketch in sketches:
            places.append(np.flatnonzero(there))
            codes.append(quantiles.bin_keys(sketch, (value / unit)[places[-1]]))
    return np.concatenate(places), np.concatenate(codes)


def _who(m: Ints, book: Interner) -> Marks:
    """What each call adds to its contributors: its heavy.Share."""
    tokens = m[SUM["input_tokens"]] + m[SUM["output_tokens"]]
    gross, latency, output = m[SUM["gross_cost_nano"]], m[SUM["latency_us"]], m[SUM["output_tokens"]]
    shares = np.stack((m[SUM["calls"]], m[SUM["cost_nano"]], tokens, gross, latency, output))
    none = np.empty(0, np.int64)
    places, codes, labels, end = [none], [none], [none], 0
    for kind, names in enumerate(list(book.who.values())[:-1]):
        said = m[PROFILE + 1 + kind]
        places.append(np.flatnonzero((said >= 0) & (shares[0] > 0)))
        codes.append(said[places[-1]] + end)
        labels.append((kind << KIND) + np.arange(len(names.names)))
        end += len(names.names)
    return Marks.of(np.concatenate(places), np.concatenate(codes), np.concatenate(labels), shares)


def _tools(coded: Coded, book: Interner) -> Marks:
    """A call's contributors of the last kind: once for each time that it asks for one."""
    places, codes, ones = coded.tools
    if not len(places):
        return NO_MARKS
    asked = coded.matrix[SUM["calls"], places] > 0
    values = np.zeros((len(top_k.NO_SHARE), len(places)), np.int64)
    values[0] = ones
    labels = (len(top_k.KINDS) - 1 << KIND) + np.arange(len(book.who["tool"].names))
    return _marks(Marks(places, codes, values, labels), asked)


def _scores(coded: Coded, book: Interner) -> Marks:
    """Copies say nothing."""
    places, codes, micro = coded.scores
    if not len(places):
        return NO_MARKS
    own = coded.matrix[SUM["duplicates"], places] == 0
    labels = np.arange(len(book.scores.names))
    root = np.minimum(np.abs(micro), ROOT * MICRO)
    squares = (root * root + MICRO // 2) // MICRO
    return _marks(Marks(places, codes, np.stack((np.ones_like(micro), micro, squares)), labels), own)


def _marks(marks: Marks, wanted: NDArray[np.bool_]) -> Marks:
    """The wanted ones, in the order of their codes."""
    places = np.flatnonzero(wanted)
    places = places[np.argsort(marks.codes[places], kind="stable")]
    return Marks(marks.places[places], marks.codes[places], marks.values[:, places], marks.labels)
