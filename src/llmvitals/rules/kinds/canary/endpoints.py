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


COMPARED: Final = len(RATES) + len(MEANS)
"""The rows of a comparison: RATES, then MEANS."""
_COMPARED: Final = [(rate.events, rate.of) for rate in RATES] + [
    (mean.log, mean.of) for mean in MEANS.values()
]
_TIMED: Final = slice(len(RATES) - len(_ABOVE), len(RATES))
"""The rows of the times; those of the others come from columns of the cells."""
_PLAIN: Final = [*range(_TIMED.start), *range(_TIMED.stop, COMPARED)]
_VALUES: Final = [COLUMN[_COMPARED[row][0]] for row in _PLAIN]
_CALLS: Final = [COLUMN[_COMPARED[row][1]] for row in _PLAIN]
ARM: Final = WIDTH * CELLS
"""The keys of the canary's cells are higher by this than those of the control's."""
_SIZE: Final = FIRST_BIN * CELLS
_LEVELS: Final = len(QUANTILES) + 1
_NAMED: Final = [COLUMN["user_calls"], COLUMN["session_calls"], COLUMN["user_session_calls"]]


class Minute(NamedTuple):
    """The calls of a minute by arm (control first), row (RATES, then MEANS) and cell.

    n: calls. k: events, or sums of logarithms. named: the calls that name their user, their session, both.
    """

    n: Floats
    k: Floats
    named: list[int]


def minute(keys: NDArray[np.int64], values: NDArray[np.int64], edges: Edges) -> Minute:
    """A minute from its cells (see sketch.cells); the keys of the canary are higher by ARM."""
    sides, inside = np.divmod(keys, ARM)
    timed = inside >= _SIZE
    sums = (sides * _SIZE + inside)[~timed]
    dense = np.bincount(sums, values[~timed], 2 * _SIZE).reshape(2, FIRST_BIN, CELLS)
    n, k = np.zeros((2, 2, COMPARED, CELLS))
    n[:, _PLAIN], k[:, _PLAIN] = dense[:, _CALLS], dense[:, _VALUES]
    if edges:
        above = np.zeros((2, len(SKETCHES), _LEVELS, CELLS))
        sides, inside, counts = sides[timed], inside[timed] - _SIZE, values[timed]
        bins, cells = np.divmod(inside, CELLS)
        for number, metric in enumerate(SKETCHES):
            if metric in edges:
                here = bins // STRIDE == number
                passed = np.searchsorted(edges[metric], bins[here] % STRIDE)
                place = (sides[here] * _LEVELS + passed) * CELLS + cells[here]
                found = np.bincount(place, counts[here], 2 * _LEVELS * CELLS).reshape(2, _LEVELS, CELLS)
                above[:, number] = found[:, ::-1].cumsum(axis=1)[:, ::-1]
        n[:, _TIMED] = np.repeat(above[:, :, 0], len(QUANTILES), axis=1)
        k[:, _TIMED] = above[:, :, 1:].reshape(2, -1, CELLS)
    return Minute(n, k, dense[:, _NAMED].sum(axis=(0, 2)).astype(int).tolist())


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


def counted(sums: Sequence[int], n: Floats, k: Floats) -> list[int]:
    """The counts of an arm in a block, in the order of FIELD; sums: see `picked`; n, k: by row."""
    paid = sums[FIELD["priced_calls"]] - sums[FIELD["free_calls"]]
    above, judged = k[_TIMED], n[_TIMED][:: len(QUANTILES)]
    return [*sums, *map(int, above.tolist()), paid, *map(int, judged.tolist())]


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
    rate = np.array([1.0] * len(RATES) + [0.0] * len(MEANS))
    return Rows(np.where(rate > 0, null, 1.0), rate)


def edge_ms(edge: int) -> float:
    """The upper end of a bin, in ms."""
    return float(GAMMA ** (edge + LOWEST - 1)) if edge else math.pow(10, -3)
