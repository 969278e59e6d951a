"""What a canary rule tests: the evidence that a metric is worse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.kinds.canary import comparison
from llmvitals.rules.kinds.canary.endpoints import MEANS, METRICS, RATES, ROWS
from llmvitals.rules.kinds.canary.findings import SCORE, Findings, allowed
from llmvitals.stats import confseq, eprocess
from llmvitals.stats.confseq import State as Means

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.rules.kinds.canary.comparison import Noises, State
    from llmvitals.rules.kinds.canary.findings import Finding

FIRST: Final = 0.5
"""The part of alpha for the first of several metrics."""
_LARGE: Final = 30.0
"""Above this the log of e − 1 is that of e."""


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The hypotheses of a rule. metrics: see endpoints.METRICS.

    effect: the smallest relevant worsening (0: any). alpha: the chance of a false alarm, over all metrics and
    all times at which they are tested. The first metric has FIRST of it, the others the rest in equal parts,
    so that what matters most is seen soon (Moyé, "Alpha calculus in clinical trials", 2000).
    """

    metrics: Sequence[str]
    effect: float
    alpha: float

    @property
    def bar(self) -> float:
        """What the evidence of a metric has to reach."""
        return -math.log(self.alpha)

    def alpha_of(self, metric: str) -> float:
        """The part of alpha for a metric; all scores that the rule does not name have one together."""
        name = "scores" if metric.startswith(SCORE) and metric not in self.metrics else metric
        others = len(self.metrics) - 1
        if not others:
            return self.alpha
        return self.alpha * (FIRST if name == self.metrics[0] else (1 - FIRST) / others)

    def noises(self, state: State) -> Noises:
        """The noise so far."""
        alphas = [*(self.alpha_of(rate.metric) for rate in RATES), *map(self.alpha_of, MEANS)]
        of_scores = min(map(self.alpha_of, self.metrics))
        return comparison.noises(state, 1 + self.effect, np.array(alphas), of_scores)

    def suspects(self, state: State) -> bool:
        """Whether a metric might alarm: with noise, an e-value is at most 1 greater than without."""
        highest = math.log(math.expm1(self.bar)) if self.bar < _LARGE else self.bar
        if not state["scores"] and float(eprocess.evidence(comparison.rates(state)).max()) < highest:
            means = (self._mean(state, metric, None) for metric in MEANS)
            if max(means) < highest:
                return False
        found = self.evidence(state, None)
        return any(log_e >= highest for metric, log_e in found.items() if metric not in state["alarmed"])

    def evidence(self, state: State, noises: Noises | None) -> dict[str, float]:
        """Metric (a score by its name) → the log of the e-value that it is worse, times its part of alpha.

        noises: None: as if all calls were independent.
        """
        known = comparison.rates(state)
        logs = eprocess.evidence(known if noises is None else known / noises.phi[:, None]).tolist()
        found = {}
        for metric in self.metrics:
            if metric in METRICS and metric != "scores":
                parts = [logs[row] for row in ROWS[metric]]
                if metric in MEANS:
                    parts.append(self._mean(state, metric, noises))
                found[metric] = eprocess.averaged(parts) + math.log(self.alpha_of(metric) / self.alpha)
        for name, score in state["scores"].items():
            if share := self._share(name, score[0]):
                found[SCORE + name] = self._score(name, score, noises) + math.log(share)
        return found

    def findings(self, state: State, evidence: Mapping[str, float], noises: Noises) -> list[Finding]:
        """The finding of each of these metrics, but for those of which an arm has no data."""
        results = Findings(state, noises, self.effect, self.alpha_of)
        found = [results.finding(metric, log_e) for metric, log_e in evidence.items()]
        return [each for each in found if each]

    def _mean(self, state: State, metric: str, noises: Noises | None) -> float:
        allowed, clustered = math.log1p(self.effect), noises.means[metric] if noises else 0.0
        means = Means(*state["means"][metric])
        return confseq.evidence(means, allowed, self.alpha_of(metric), clustered=clustered)

    def _score(self, name: str, score: Sequence[Any], noises: Noises | None) -> float:
        clustered = noises.scores.get(name, 0.0) if noises else 0.0
        difference, alpha = allowed(score, self.effect), self.alpha_of(SCORE + name)
        return confseq.evidence(Means(*score[1]), difference, alpha, clustered=clustered)

    def _share(self, name: str, place: int) -> float:
        """The part of alpha for a score. Those that the rule does not name have 1/2, 1/6 … of theirs."""
        share = self.alpha_of(SCORE + name) / self.alpha
        if SCORE + name in self.metrics:
            return share
        return share / (place * (place + 1)) if "scores" in self.metrics else 0.0


class Look:
    """What the evidence of a comparison is at one time; each part is computed when it is first read."""

    def __init__(self, hypotheses: Hypotheses, state: State) -> None:
        self._hypotheses, self._state = hypotheses, state

    @cached_property
    def noises(self) -> Noises:
        """The noise so far."""
        return self._hypotheses.noises(self._state)

    @cached_property
    def findings(self) -> dict[str, Finding]:
        """Metric → its finding."""
        found = self._hypotheses.findings(self._state, self._evidence, self.noises)
        return {each.metric: each for each in found}

    @property
    def fresh(self) -> list[str]:
        """The metrics that are worse and have not alarmed yet, the worst first."""
        evidence, bar = self._evidence, self._hypotheses.bar
        worse = sorted(evidence, key=lambda metric: (-evidence[metric], metric))
        return [
            metric for metric in worse if evidence[metric] >= bar and metric not in self._state["alarmed"]
        ]

    @cached_property
    def _evidence(self) -> dict[str, float]:
        return self._hypotheses.evidence(self._state, self.noises)
