"""The findings of a comparison: how much worse a metric is, with limits, and what could be seen at all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.kinds.canary import comparison
from llmvitals.rules.kinds.canary.endpoints import (
    EVENTS,
    FIELD,
    MEANS,
    OF,
    RATES,
    ROWS,
    SHOWN,
    SKETCHES,
    edge_ms,
)
from llmvitals.sketch.scores import HARMFUL, MICRO
from llmvitals.stats import confseq, eprocess
from llmvitals.stats.confseq import State as Means
from llmvitals.window import DAY, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from llmvitals.rules.kinds.canary.comparison import Noises, State

    Floats = NDArray[np.float64]

SCORE: Final = "score."
LEVEL: Final = 0.025
"""The chance that a limit is wrong at any time; an interval of two limits covers 95 %."""
_TIMES: Final = (1, 7)
"""The days in which an effect may be found."""
_PARTS: Final = {metric: len(rows) + (metric in MEANS) for metric, rows in ROWS.items()}
"""Metric → how many e-values are averaged for it."""
_ROW_PARTS: Final = np.array([_PARTS[rate.metric] for rate in RATES])
_ROW_SHARE: Final = np.array([len(ROWS[rate.metric]) for rate in RATES])


@dataclass(frozen=True, slots=True)
class Finding:
    """A metric of the two arms.

    log_e: the natural log of the e-value against "no worse than the effect". effect: a ratio, of a score the
    difference, canary to control, with limits; None: not known (yet). value, calls: of the canary; other,
    others: of the control. kind: share, mean or score. edge: of times, the ms that the shares are above. phi:
    by how much clusters reduce the evidence. day, week: the smallest effect that would be found in such a
    time, at the calls and the noise so far; ∞: none; None: not known yet.
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
    phi: float | None = None
    day: float | None = None
    week: float | None = None

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


class Findings:
    """The findings of a comparison at one time."""

    def __init__(self, state: State, noises: Noises, effect: float, alpha_of: Callable[[str], float]) -> None:
        """alpha_of: the chance of a false alarm of a metric."""
        self._state, self._noises, self._effect, self._alpha_of = state, noises, effect, alpha_of
        minutes = state["open"]["began"] - state["since"]
        self._per_day = DAY / MINUTE / minutes if minutes > 0 else 0.0

    def finding(self, metric: str, log_e: float) -> Finding | None:
        """The finding of a metric; None while one of the arms has no data."""
        if metric.startswith(SCORE):
            return self._of_score(metric, log_e, self._state["scores"][metric.removeprefix(SCORE)])
        shown = self._row(metric)
        if metric not in MEANS:
            return self._of_rate(metric, shown, log_e)
        return self._of_mean(metric, log_e) or self._of_rate(metric, shown, log_e)

    @cached_property
    def _logs(self) -> Floats:
        return comparison.rates(self._state) / self._noises.phi[:, None]

    @cached_property
    def _evidence(self) -> list[float]:
        logs: list[float] = eprocess.evidence(self._logs).tolist()
        return logs

    @cached_property
    def _limits(self) -> list[tuple[float | None, float | None]]:
        # The rate may be chosen from four quantiles, so the level is divided among them.
        return eprocess.all_limits(self._logs, LEVEL / _ROW_SHARE)

    @cached_property
    def _seen(self) -> Floats:
        """For each of _TIMES and RATES the smallest ratio that would be found."""
        control, canary = np.array(self._state["sums"], float)
        n = np.stack((control[OF], canary[OF]))
        events = control[EVENTS] + canary[EVENTS]
        weight = np.where(events > 0, self._noises.events / np.maximum(events, 1), 1.0)
        share = (control[EVENTS] + 0.5) / (n[0] + 1)
        alphas = np.array([self._alpha_of(each.metric) for each in RATES])
        bar = self._noises.phi * np.log(_ROW_PARTS / alphas)
        a_day = np.maximum(n * self._per_day, 1e-9)
        null = 1 + self._effect
        found = [
            eprocess.smallest_ratio(a_day * days, share * weight, bar, null, most=1 / share)
            for days in _TIMES
        ]
        return np.stack(found)

    def _row(self, metric: str) -> int | None:
        """The rate of a metric to report: the one with the most evidence."""
        rows = ROWS[metric]
        if not rows:
            return None
        best = max(rows, key=lambda row: (self._evidence[row], -row))
        bar = -math.log(self._alpha_of(metric))
        return best if self._evidence[best] >= bar or len(rows) == 1 else rows[SHOWN]

    def _of_rate(self, metric: str, row: int | None, log_e: float) -> Finding | None:
        if row is None:
            return None
        control, canary = self._state["sums"]
        others, calls = control[OF[row]], canary[OF[row]]
        if not others or not calls:
            return None
        over, under = (part[row] for part in self._state["ratio"])
        edges = self._state["edges"].get(metric)
        edge = edge_ms(edges[ROWS[metric].index(row)]) if metric in SKETCHES and edges else None
        value, other = canary[EVENTS[row]] / calls, control[EVENTS[row]] / others
        found = Finding(metric, "share", log_e, value, other, calls, others, over / under if under else None)
        low, high = self._limits[row]
        day, week = self._seen[:, row].tolist() if self._per_day else (None, None)
        phi = float(self._noises.phi[row])
        return replace(found, low=low, high=high, edge=edge, phi=phi, day=day, week=week)

    def _of_mean(self, metric: str, log_e: float) -> Finding | None:
        mean, (control, canary) = MEANS[metric], self._state["sums"]
        others, calls = control[FIELD[mean.calls]], canary[FIELD[mean.calls]]
        if not others or not calls:
            return None
        means, clustered, allowed = (
            Means(*self._state["means"][metric]), self._noises.means[metric], math.log1p(self._effect)
        )  # fmt: skip
        own = confseq.evidence(means, allowed, self._alpha_of(metric), clustered=clustered)
        both = eprocess.averaged([own, *(self._evidence[row] for row in ROWS[metric])])
        if metric == "cost" and both >= -math.log(self._alpha_of(metric)) > own + math.log(2):
            return None  # the worsening is that fewer calls are free
        low, high = map(_exp, confseq.limits(means, LEVEL, clustered=clustered))
        effect = math.exp(means.mean) if means.steps else None
        value, other = mean.shown(canary), mean.shown(control)
        found = Finding(metric, "mean", log_e, value, other, calls, others, effect)
        seen = self._seen_mean(means, clustered, self._alpha_of(metric) / _PARTS[metric])
        day, week = (_exp(None if away is None else allowed + away) for away in seen)
        phi = _phi(means, clustered)
        return replace(found, low=low, high=high, phi=phi, day=day, week=week)

    def _of_score(self, metric: str, log_e: float, score: Sequence[Any]) -> Finding:
        _, sums, counts = score
        others, other, calls, value = counts
        means = Means(*sums)
        clustered = self._noises.scores.get(metric.removeprefix(SCORE), 0.0)
        low, high = confseq.limits(means, LEVEL, clustered=clustered)
        effect, sign = means.mean, 1
        if metric.removeprefix(SCORE) not in HARMFUL:
            effect, sign, low, high = -effect, -1, _negative(high), _negative(low)
        shown = value / calls / MICRO, other / others / MICRO
        found = Finding(metric, "score", log_e, *shown, calls, others, effect)
        seen = self._seen_mean(means, clustered, self._alpha_of(metric))
        day, week = (None if each is None else sign * (allowed(score, self._effect) + each) for each in seen)
        return replace(found, low=low, high=high, phi=_phi(means, clustered), day=day, week=week)

    def _seen_mean(self, means: Means, clustered: float, alpha: float) -> list[float | None]:
        """For each of _TIMES how far from what is allowed a mean has to be to be found."""
        w = means.w * self._per_day
        if not means.ready or not w:
            return [None for _ in _TIMES]
        return [confseq.radius(means, w * days, alpha, clustered=clustered) for days in _TIMES]


def allowed(score: Sequence[Any], effect: float) -> float:
    """The greatest difference of a score that is no news."""
    counts = score[2]
    return float(effect * abs(counts[1]) / counts[0] / MICRO)


def _exp(log: float | None) -> float | None:
    return None if log is None else math.exp(min(log, 700.0))


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _phi(means: Means, clustered: float) -> float | None:
    """The variance with clusters, relative to that without."""
    return max(1.0, clustered / means.w / means.deviation**2) if means.w else None
