"""Prepares the calls of a pane once, so that the table of every view can add them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.cells import CellValues, cell_values
from llmvitals.combine.columns import SPEED_US
from llmvitals.combine.interner import PROFILE, CodedCalls, Interner
from llmvitals.combine.sparse_sums import NO_SPARSE_VALUES, SparseValues
from llmvitals.sketch import quantiles, top_k
from llmvitals.sketch.counters import SUM, SUMS
from llmvitals.sketch.scores import MICRO, ROOT

Ints = NDArray[np.int64]

KIND: Final = 28
"""The label of a contributor is kind << KIND | code."""
_ERROR: Final = top_k.KINDS.index("error")
_BINS: Final = np.arange(len(quantiles.SKETCHES) * quantiles.STRIDE)


@dataclass(slots=True)
class PreparedCalls:
    """n calls, ready to be added to tables.

    vectors (SUMS × n): what each call adds to the sums. used_sums: rows of `vectors` that are not all 0.
    bins: of their sketches. contributors, errors, tools: a top_k.Share for each contributor. scores: a
    sketch.scores.Score each. traces: a trace id for each call. cells: what they add to the cells of arms;
    None if no view has arms.
    """

    vectors: Ints
    used_sums: list[int]
    bins: SparseValues
    contributors: SparseValues
    errors: SparseValues
    tools: SparseValues
    scores: SparseValues
    traces: Sequence[str]
    cells: CellValues | None = None

    def only(self, wanted: NDArray[np.bool_]) -> PreparedCalls:
        """Only the wanted calls."""
        return PreparedCalls(
            np.compress(wanted, self.vectors, axis=1),
            self.used_sums,
            self.bins.only(wanted),
            self.contributors.only(wanted),
            self.errors.only(wanted),
            self.tools.only(wanted),
            self.scores.only(wanted),
            [self.traces[i] for i in np.flatnonzero(wanted).tolist()],
            self.cells and self.cells.only(wanted),
        )


def prepare(coded: CodedCalls, interner: Interner, *, arms: bool = False) -> PreparedCalls:
    """Prepare calls. arms: whether a view has arms."""
    vectors = coded.matrix[: len(SUMS)]
    used_sums = np.flatnonzero(vectors.any(axis=1)).tolist()
    bins = SparseValues.of(
        *binned(coded.matrix, quantiles.SKETCHES), _BINS, np.ones((1, vectors.shape[1]), np.int64)
    )
    scores = _scores(coded, interner)
    return PreparedCalls(
        vectors,
        used_sums,
        bins,
        _contributors(coded.matrix, interner),
        _errors(coded.matrix, interner),
        _tools(coded, interner),
        scores,
        coded.traces,
        cell_values(coded, interner, bins=bins, scores=scores) if arms else None,
    )


def binned(v: Ints, sketches: Collection[str]) -> tuple[Ints, Ints]:
    """Find the bin of each call (v: their vectors) in every sketch whose value is known.

    Returns the places of calls and the keys of bins.
    """
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


def _contributors(m: Ints, interner: Interner) -> SparseValues:
    """Add the top_k.Share of each call to those who may spend."""
    tokens = m[SUM["input_tokens"]] + m[SUM["output_tokens"]]
    gross, latency, output = m[SUM["gross_cost_nano"]], m[SUM["latency_us"]], m[SUM["output_tokens"]]
    shares = np.stack((m[SUM["calls"]], m[SUM["cost_nano"]], tokens, gross, latency, output))
    none = np.empty(0, np.int64)
    places, codes, labels, end = [none], [none], [none], 0
    for kind, names in enumerate(list(interner.contributors.values())[: len(top_k.SPENDERS)]):
        codes_of_kind = m[PROFILE + 1 + kind]
        places.append(np.flatnonzero((codes_of_kind >= 0) & (shares[0] > 0)))
        codes.append(codes_of_kind[places[-1]] + end)
        labels.append((kind << KIND) + np.arange(len(names.names)))
        end += len(names.names)
    return SparseValues.of(np.concatenate(places), np.concatenate(codes), np.concatenate(labels), shares)


def _errors(m: Ints, interner: Interner) -> SparseValues:
    """Count each failed call once."""
    if not interner.contributors or not m[SUM["errors"]].any():
        return NO_SPARSE_VALUES
    codes, kind = m[PROFILE + 1 + _ERROR], interner.contributors["error"]
    places = np.flatnonzero((codes >= 0) & (m[SUM["calls"]] > 0))
    labels = (_ERROR << KIND) + np.arange(len(kind.names))
    values = np.zeros((len(top_k.NO_SHARE), m.shape[1]), np.int64)
    values[0] = 1
    return SparseValues.of(places, codes[places], labels, values)


def _tools(coded: CodedCalls, interner: Interner) -> SparseValues:
    """Count each tool once for each request of it."""
    places, codes, counts = coded.tools
    if not len(places):
        return NO_SPARSE_VALUES
    counted = coded.matrix[SUM["calls"], places] > 0
    values = np.zeros((len(top_k.NO_SHARE), len(places)), np.int64)
    values[0] = counts
    labels = (len(top_k.KINDS) - 1 << KIND) + np.arange(len(interner.contributors["tool"].names))
    return _selected(SparseValues(places, codes, values, labels), counted)


def _scores(coded: CodedCalls, interner: Interner) -> SparseValues:
    """Count the scores of calls; duplicates contribute none."""
    places, codes, micro = coded.scores
    if not len(places):
        return NO_SPARSE_VALUES
    counted = coded.matrix[SUM["duplicates"], places] == 0
    labels = np.arange(len(interner.scores.names))
    root = np.minimum(np.abs(micro), ROOT * MICRO)
    squares = (root * root + MICRO // 2) // MICRO
    return _selected(
        SparseValues(places, codes, np.stack((np.ones_like(micro), micro, squares)), labels), counted
    )


def _selected(values: SparseValues, wanted: NDArray[np.bool_]) -> SparseValues:
    """Only the values of the wanted entries, sorted by code."""
    places = np.flatnonzero(wanted)
    places = places[np.argsort(values.codes[places], kind="stable")]
    return SparseValues(values.places[places], values.codes[places], values.values[:, places], values.labels)
