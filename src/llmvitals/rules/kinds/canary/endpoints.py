"""The endpoints of a comparison: rates of events among calls, means of logarithms, and scores."""

from __future__ import annotations

import math
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from llmvitals.metrics.registry import CANARY
from llmvitals.metrics.registry import METRICS as REGISTRY
from llmvitals.record.vitals import TOPS
from llmvitals.sketch.cells import CELLS, COLUMN, COLUMNS, FIRST_BIN, WIDTH
from llmvitals.sketch.counters import LOG_UNIT, SUM
from llmvitals.sketch.quantiles import GAMMA, LOWEST, STRIDE, sketch_bins
from llmvitals.stats.clusters import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from llmvitals.record.vitals import Vitals
    from llmvitals.sketch.cells import Sparse
    from llmvitals.sketch.scores import Score
    from llmvitals.stats.confseq import ArmSums

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

METRICS: Final = (*CANARY, "scores")
"""The names for `metrics:` of a rule, beside score.NAME; "scores" stands for all scores."""

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
"""The quantiles of the control's times; the share of calls above each one is a rate."""
SHOWN: Final = QUANTILES.index(0.95)
REFERENCE: Final = 200
"""The number of the control's first times that fix these quantiles."""
_REGISTERED: Final = {name: REGISTRY[metric] for name, metric in CANARY.items()}
SKETCHES: Final = {name: metric.sketch for name, metric in _REGISTERED.items() if metric.sketch}

_SUMS: Final = (
    "calls", "errors", "toxicity_count", "toxic_calls", "refused_calls", "guardrail_blocks", "priced_calls",
    "free_calls", "usage_calls", "cost_nano", "input_tokens", "output_tokens", "latency_count", "ttft_count",
    "log_cost", "log_cost_square", "log_input", "log_input_square", "log_output", "log_output_square",
)  # fmt: skip
_ABOVE: Final = tuple(f"{metric}_above_{q}" for metric in SKETCHES for q in QUANTILES)
_OWN: Final = ("paid_calls", "latency_judged", "ttft_judged")
"""Calls with a cost above 0, and those whose time was compared with the control's quantiles."""
FIELD: Final = {name: place for place, name in enumerate((*_SUMS, *_ABOVE, *_OWN))}
"""Name → its place in the counts of an arm."""
_PLACES: Final = tuple(SUM[name] for name in _SUMS)

_picked: Final = itemgetter(*_PLACES)

Edges = dict[str, list[int]]
"""Metric → the bins of the control's QUANTILES, once they are fixed."""


class Rate(NamedTuple):
    """A share of calls: events among `of`; both are names in FIELD."""

    metric: str
    events: str
    of: str


RATES: Final = (
    *(
        Rate(name, metric.over[0], metric.under)
        for name, metric in _REGISTERED.items()
        if metric.unit == "share"
    ),
    Rate("cost", "paid_calls", "priced_calls"),
    *(Rate(metric, f"{metric}_above_{q}", f"{metric}_judged") for metric in SKETCHES for q in QUANTILES),
)
ROWS: Final = {metric: [row for row, rate in enumerate(RATES) if rate.metric == metric] for metric in METRICS}
"""Metric → its rows among RATES."""
EVENTS: Final = [FIELD[rate.events] for rate in RATES]
OF: Final = [FIELD[rate.of] for rate in RATES]


class Mean(NamedTuple):
    """A mean of logarithms, by names in FIELD: the calls, the sum of logarithms, and that of their squares.

    total / (calls · per) is the arithmetic mean that people are shown.
    """

    of: str
    log: str
    square: str
    total: str
    calls: str
    per: float

    def moments(self, counted: Sequence[int]) -> ArmSums:
        """The moments of an arm."""
        return (
            float(counted[FIELD[self.of]]),
            counted[FIELD[self.log]] * LOG_UNIT,
            counted[FIELD[self.square]] * LOG_UNIT**2,
        )

    def shown(self, counted: Sequence[int]) -> float:
        """The mean per call of an arm."""
        return counted[FIELD[self.total]] / max(counted[FIELD[self.calls]], 1) / self.per


_LOGS: Final = {
    "cost": ("paid_calls", "log_cost"),
    "input_tokens": ("usage_calls", "log_input"),
    "output_tokens": ("usage_calls", "log_output"),
}
"""Mean → its calls, and the sum of their logarithms."""
MEANS: Final = {
    name: Mean(of, log, f"{log}_square", metric.over[0], metric.under, metric.per)
    for name, (of, log) in _LOGS.items()
    for metric in (_REGISTERED[name],)
}


GROUPS: Final = (
    "calls", "toxicity_count", "priced_calls", "paid_calls", "usage_calls", "latency_judged", "ttft_judged",
)  # fmt: skip
"""The groups of calls that rates and means are of."""
_GROUPED: Final = [COLUMN[name] for name in GROUPS if name in COLUMN]
_EVENTS: Final = [COLUMN[rate.events] for rate in RATES if rate.events in COLUMN]
_FIRST_ABOVE: Final = len(_EVENTS)
_LOGGED: Final = [COLUMN[mean.log] for mean in MEANS.values()]
_OF: Final = (*(rate.of for rate in RATES), *(mean.of for mean in MEANS.values()))
_OF_ROW: Final = np.array([GROUPS.index(of) for of in _OF])
_IS_RATE: Final = np.array([1.0] * len(RATES) + [0.0] * len(MEANS))
ARM: Final = WIDTH * CELLS
"""The keys of the canary's cells are higher by this than those of the control's."""
_SIZE: Final = FIRST_BIN * CELLS
_LEVELS: Final = len(QUANTILES) + 1
_NAMED: Final = [COLUMN["user_calls"], COLUMN["session_calls"], COLUMN["user_session_calls"]]


class Block(NamedTuple):
    """The calls of a block of time by arm (control first), row and cell.

    of: the groups that GROUPS names. values: the events of RATES, then the sums of logarithms of MEANS.
    totals: of both the sums over cells. named: the calls that name their user, their session, and both.
    """

    of: Singles
    values: Singles
    totals: tuple[Floats, Floats]
    named: list[int]


def block(keys: NDArray[np.int64], values: NDArray[np.int64], edges: Edges) -> Block:
    """A block from its cells (see sketch.cells); the keys of the canary are higher by ARM."""
    sides, inside = np.divmod(keys, ARM)
    timed = inside >= _SIZE
    sums = (sides * _SIZE + inside)[~timed]
    dense = np.bincount(sums, values[~timed], 2 * _SIZE).reshape(2, FIRST_BIN, CELLS)
    above = np.zeros((2, len(SKETCHES), _LEVELS, CELLS))
    if edges:
        sides, inside, counts = sides[timed], inside[timed] - _SIZE, values[timed]
        bins, cells = np.divmod(inside, CELLS)
        for number, metric in enumerate(SKETCHES):
            if metric in edges:
                here = bins // STRIDE == number
                passed = np.searchsorted(edges[metric], bins[here] % STRIDE)
                place = (sides[here] * _LEVELS + passed) * CELLS + cells[here]
                found = np.bincount(place, counts[here], 2 * _LEVELS * CELLS).reshape(2, _LEVELS, CELLS)
                above[:, number] = found[:, ::-1].cumsum(axis=1)[:, ::-1]
    of = np.concatenate((dense[:, _GROUPED], above[:, :, 0]), axis=1)
    times = above[:, :, 1:].reshape(2, -1, CELLS)
    found = np.concatenate((dense[:, _EVENTS], times, dense[:, _LOGGED]), axis=1)
    named = dense[:, _NAMED].sum(axis=(0, 2)).astype(int).tolist()
    totals = of.sum(axis=2), found.sum(axis=2)
    return Block(of.astype(np.float32), found.astype(np.float32), totals, named)


def one_cell(vitals: Vitals, cell: int) -> Sparse:
    """The sums of a series without cells, as if all of its calls were of this cell."""
    own = {"paid_calls": vitals.total("priced_calls") - vitals.total("free_calls")}
    sums = np.array([own.get(name, 0) if name not in SUM else vitals.total(name) for name in COLUMNS])
    end = np.searchsorted(vitals.bins[0], len(SKETCHES) * STRIDE)
    columns = np.concatenate((np.arange(len(COLUMNS)), vitals.bins[0][:end].astype(np.int64) + FIRST_BIN))
    return (columns * CELLS + cell).astype(np.uint32), np.concatenate((sums, vitals.bins[1][:end]))


def picked(vitals: Vitals) -> tuple[int, ...]:
    """The sums of an arm in a pane, in the order of FIELD; the times come from its cells."""
    found: tuple[int, ...] = _picked(vitals.sums)
    return found


def one_cell_of_score(score: Score, cell: int) -> Sparse:
    """The same of a score."""
    return np.array([cell, cell + CELLS], np.uint32), np.array(score[:2])


def counted(sums: Sequence[int], totals: tuple[Floats, Floats], side: int) -> list[int]:
    """The counts of an arm in a block, in the order of FIELD; sums: see `picked`; totals: of the block."""
    of, values = (part[side].tolist() for part in totals)
    above, judged = values[_FIRST_ABOVE : _FIRST_ABOVE + len(_ABOVE)], of[-len(SKETCHES) :]
    paid = sums[FIELD["priced_calls"]] - sums[FIELD["free_calls"]]
    return [*sums, *map(int, above), paid, *map(int, judged)]


def no_counts() -> list[int]:
    """The counts of an arm without calls."""
    return [0] * len(FIELD)


def no_sums() -> list[int]:
    """The sums (see `picked`) of an arm without calls."""
    return [0] * len(_SUMS)


def gather(reference: dict[str, int], vitals: Vitals, metric: str) -> None:
    """Add the times of a control's pane to those that will fix the quantiles: bin → how many."""
    if not vitals.total(TOPS[SKETCHES[metric]][1]):
        return
    numbers, counts = sketch_bins(vitals.bins, SKETCHES[metric])
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        reference[str(number)] = reference.get(str(number), 0) + count


def fixed(reference: Mapping[str, int]) -> list[int] | None:
    """The bins of QUANTILES, once there are enough times."""
    numbers = np.array(sorted(map(int, reference)), np.int64)
    totals = np.cumsum([reference[str(number)] for number in numbers.tolist()])
    if not len(numbers) or totals[-1] < REFERENCE:
        return None
    ranks = np.floor(np.array(QUANTILES) * (totals[-1] - 1))
    found: list[int] = numbers[np.searchsorted(totals, ranks, side="right")].tolist()
    return found


@cache
def tally_rows(null: float) -> Rows:
    """What a tally of clusters compares; null: the greatest ratio that is no news."""
    means = {mean.of for mean in MEANS.values()}
    return Rows(_OF_ROW, np.array([1.0 if name in means else null for name in GROUPS]), _IS_RATE)


def edge_ms(edge: int) -> float:
    """The upper end of a bin, in ms."""
    return float(GAMMA ** (edge + LOWEST - 1)) if edge else math.pow(10, -3)
