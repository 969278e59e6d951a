"""The endpoints of a comparison: rates of events among calls, means of logarithms, and scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from llmvitals.metrics.registry import CANARY
from llmvitals.metrics.registry import METRICS as REGISTRY
from llmvitals.sketch.counters import LOG_UNIT, SUM
from llmvitals.sketch.quantiles import GAMMA, LOWEST, sketch_bins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.vitals import Vitals
    from llmvitals.stats.confseq import ArmSums

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


def counted(vitals: Vitals, edges: Edges) -> list[int]:
    """The counts of an arm in a pane, in the order of FIELD."""
    sums = [vitals.sums[place] for place in _PLACES]
    above: list[int] = []
    judged: list[int] = []
    for metric, sketch in SKETCHES.items():
        bins = sketch_bins(vitals.bins, sketch) if metric in edges else None
        found = (
            [int(bins[1][bins[0] > edge].sum()) for edge in edges[metric]] if bins else [0] * len(QUANTILES)
        )
        above += found
        judged.append(int(bins[1].sum()) if bins else 0)
    paid = sums[FIELD["priced_calls"]] - sums[FIELD["free_calls"]]
    return [*sums, *above, paid, *judged]


def no_counts() -> list[int]:
    """The counts of an arm without calls."""
    return [0] * len(FIELD)


def gather(reference: dict[str, int], vitals: Vitals, metric: str) -> None:
    """Add the times of a control's pane to those that will fix the quantiles: bin → how many."""
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


def edge_ms(edge: int) -> float:
    """The upper end of a bin, in ms."""
    return float(GAMMA ** (edge + LOWEST - 1)) if edge else math.pow(10, -3)
