"""The results of a comparison: the evidence that a metric is worse, and how much worse, with limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.rules.kinds.canary import comparison
from llmvitals.rules.kinds.canary.endpoints import (
    EVENTS,
    FIELD,
    MEANS,
    METRICS,
    OF,
    ROWS,
    SHOWN,
    SKETCHES,
    edge_ms,
)
from llmvitals.sketch.scores import HARMFUL, MICRO
from llmvitals.stats import confseq, eprocess
from llmvitals.stats.confseq import State as Means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.kinds.canary.comparison import State

SCORE: Final = "score."
LEVEL: Final = 0.025
"""The chance that a limit is wrong at any time; an interval of two limits covers 95 %."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A metric of the two arms.

    log_e: the natural log of the e-value against "no worse than the effect". effect: a ratio, of a score the
    difference, canary to control, with limits; None: not known (yet). value, calls: of the canary; other,
    others: of the control. kind: share, mean or score. edge: of times, the ms that the shares are above.
    """

    metric: str
    kind: str
    log_e: float
    value: float
    other: float
    calls: int
    others: int
    effect: float | None
    low: float | None = None
    high: float | None = None
    edge: float | None = None

    @property
    def harmful(self) -> bool:
        """Whether it is a score that is worse when it is higher."""
        return self.metric.removeprefix(SCORE) in HARMFUL

    @property
    def worse(self) -> float | None:
        """How many times worse the canary is; None if that is not known."""
        if self.kind != "score":
            return self.effect
        if self.harmful:
            return self.value / self.other if self.value > 0 and self.other > 0 else None
        return self.other / self.value if self.value > 0 and self.other > 0 else None

    @property
    def least(self) -> float | None:
        """The lower limit of how much worse it is: a ratio, for a score a difference."""
        if self.kind == "score" and not self.harmful:
            return None if self.high is None else -self.high
        return self.low


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The hypotheses of a rule. metrics: see endpoints.METRICS.

    effect: the smallest relevant worsening (0: any). alpha: the chance of a false alarm of one metric, over
    all times at which it is tested.
    """

    metrics: Sequence[str]
    effect: float
    alpha: float

    def evidence(self, state: State) -> dict[str, float]:
        """Metric (a score by its name) → the log of the e-value that it is worse."""
        logs = eprocess.evidence(comparison.rates(state))
        found = {}
        for metric in self.metrics:
            if metric in METRICS and metric != "scores":
                parts = [float(logs[row]) for row in ROWS[metric]]
                if metric in MEANS:
                    parts.append(self._mean(Means(*state["means"][metric])))
                found[metric] = eprocess.averaged(parts)
        for name, score in state["scores"].items():
            if (share := self._share(name, score[0])) and SCORE + name not in found:
                found[SCORE + name] = self._score(score) + math.log(share)
        return found

    def finding(self, state: State, metric: str, log_e: float) -> Finding | None:
        """The finding of a metric; None while one of the arms has no data."""
        if metric.startswith(SCORE):
            return self._of_score(metric, log_e, state["scores"][metric.removeprefix(SCORE)])
        shown = self._row(state, metric)
        if metric not in MEANS:
            return self._of_rate(state, (metric, shown), log_e)
        return self._of_mean(state, metric, log_e) or (
            self._of_rate(state, (metric, shown), log_e) if shown is not None else None
        )

    def _row(self, state: State, metric: str) -> int | None:
        """The rate of a metric to report: the one with the most evidence."""
        rows = ROWS[metric]
        if not rows:
            return None
        logs = eprocess.evidence(comparison.rates(state))
        best = max(rows, key=lambda row: (float(logs[row]), -row))
        return best if logs[best] >= -math.log(self.alpha) or len(rows) == 1 else rows[SHOWN]

    def _of_rate(self, state: State, at: tuple[str, int | None], log_e: float) -> Finding | None:
        metric, row = at
        if row is None:
            return None
        control, canary = state["sums"]
        others, calls = control[OF[row]], canary[OF[row]]
        if not others or not calls:
            return None
        # The rate may be chosen from four quantiles, so the level is divided among them.
        low, high = eprocess.limits(comparison.rates(state)[row], LEVEL / len(ROWS[metric]))
        over, under = (part[row] for part in state["ratio"])
        edges = state["edges"].get(metric)
        edge = edge_ms(edges[ROWS[metric].index(row)]) if metric in SKETCHES and edges else None
        value, other = canary[EVENTS[row]] / calls, control[EVENTS[row]] / others
        effect = over / under if under else None
        return Finding(metric, "share", log_e, value, other, calls, others, effect, low, high, edge)

    def _of_mean(self, state: State, metric: str, log_e: float) -> Finding | None:
        mean, (control, canary) = MEANS[metric], state["sums"]
        others, calls = control[FIELD[mean.calls]], canary[FIELD[mean.calls]]
        if not others or not calls:
            return None
        means = Means(*state["means"][metric])
        bar = -math.log(self.alpha)
        if metric == "cost" and log_e >= bar > self._mean(means) + math.log(2):
            return None  # the worsening is that fewer calls are free
        low, high = (None if entry is None else math.exp(entry) for entry in confseq.limits(means, LEVEL))
        effect = math.exp(means.mean) if means.steps else None
        value, other = mean.shown(canary), mean.shown(control)
        return Finding(metric, "mean", log_e, value, other, calls, others, effect, low, high)

    def _of_score(self, metric: str, log_e: float, score: Sequence[Any]) -> Finding:
        _, sums, counts = score
        others, other, calls, value = counts
        state = Means(*sums)
        low, high = confseq.limits(state, LEVEL)
        effect = state.mean
        if metric.removeprefix(SCORE) not in HARMFUL:
            effect, low, high = -effect, None if high is None else -high, None if low is None else -low
        means = value / calls / MICRO, other / others / MICRO
        return Finding(metric, "score", log_e, *means, calls, others, effect, low, high)

    def _mean(self, state: Means) -> float:
        return confseq.evidence(state, math.log1p(self.effect), self.alpha)

    def _score(self, score: Sequence[Any]) -> float:
        _, sums, counts = score
        return confseq.evidence(Means(*sums), self.effect * abs(counts[1]) / counts[0] / MICRO, self.alpha)

    def _share(self, name: str, place: int) -> float:
        """The part of alpha for a score: all if the rule names it, else 1/2, 1/6, 1/12 …, in sum 1."""
        if SCORE + name in self.metrics:
            return 1.0
        return 1 / (place * (place + 1)) if "scores" in self.metrics else 0.0
