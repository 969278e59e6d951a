"""What tests/rules/kinds/test_detectors.py tries: every kind of rule, with traffic of one series and what is promised of it.

To add one, write its traffic and an entry of SUBJECTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conversation import about, talk
from llmvitals.record.vitals import Vitals, merged
from panes import SECOND, vitals

Panes = dict[int, Vitals]
Traffic = Callable[[np.random.Generator, int, int], Panes]
"""Noise of (rng, length in panes, step): from `step` panes on, what the rule is there to find."""

NEVER = 10**9
START = 1_780_272_000
"""Seconds; a Monday at 00:00 UTC."""


@dataclass(frozen=True)
class Subject:
    """One rule. All lengths in panes of `pane` seconds.

    rule: from `alert:` on. series: the values of its `by`. quiet: the length of a run of noise, and alarms:
    how many it may give in it. step: when there is something to find; delay: how long that may take.
    hole: a part of a run of noise (from, to) in which nothing comes at all.
    early: traffic of a length, with what is to be found in it, before the rule can know.
    """

    rule: str
    traffic: Traffic
    quiet: int
    step: int
    delay: int
    hole: tuple[int, int]
    early: Callable[[np.random.Generator], Panes]
    alarms: int = 0
    series: tuple[str, ...] = ()
    pane: int = 10

    @property
    def first(self) -> int:
        """The pane that its traffic begins with."""
        return START // self.pane

    @property
    def micros(self) -> int:
        """A pane in µs."""
        return self.pane * SECOND


def latencies(rng: np.random.Generator, length: int, step: int, times: float = 6) -> Panes:
    """Log-normal answers, 20 calls a minute, by 10 s."""
    return {
        START // 10 + at: vitals(ms=tuple(rng.lognormal(6.9, 0.4, calls) * (times if at >= step else 1)))
        for at, calls in enumerate(rng.poisson(20 / 6, length))
        if calls
    }


def failures(rng: np.random.Generator, length: int, step: int) -> Panes:
    """5 % of 30 calls a pane fail, then 45 %."""
    return {
        START // 10 + at: vitals(
            calls=int(calls), errors=int(rng.binomial(calls, 0.45 if at >= step else 0.05))
        )
        for at, calls in enumerate(rng.poisson(30, length))
        if calls
    }


def side_by_side(rng: np.random.Generator, length: int, step: int, begin: int = 60) -> Panes:
    """17 calls a pane of v1, of which 5 % fail, and from `begin` on 4 of v2; later thrice as many of these."""
    found = {}
    for at, calls in enumerate(rng.poisson((17, 4), (length, 2)).tolist()):
        shares = {"v1": 0.05, "v2": 0.15 if at >= step else 0.05}
        arms = {
            name: vitals(calls=count, errors=int(rng.binomial(count, shares[name])))
            for name, count in zip(shares, calls, strict=True)
            if count and (name == "v1" or at >= begin)
        }
        found[START // 10 + at] = replace(merged([*arms.values()]), arms=arms)
    return found


def stops(rng: np.random.Generator, length: int, step: int) -> Panes:
    """Calls, and then none."""
    return {START // 10 + at: vitals() for at in range(length) if at < step and rng.random() < 0.8}


def spends(rng: np.random.Generator, length: int, step: int) -> Panes:
    """Some cents a pane, then a dollar."""
    return {
        START // 10 + at: vitals(cost=float(rng.uniform(0.5, 1.5)) * (1.0 if at >= step else 0.02))
        for at in range(length)
    }


def rhythm(length: int) -> np.ndarray:
    """Calls a minute, by day and night."""
    hour = np.arange(length) / 60 % 24
    return 12 * (1 + 0.8 * np.sin((hour - 9) / 24 * 2 * np.pi))


def noise(rng: np.random.Generator, length: int, spread: float) -> np.ndarray:
    """What every hour has of its own, a factor of 1 in the mean."""
    return np.repeat(rng.gamma(1 / spread**2, spread**2, length // 60 + 1), 60)[:length]


def restless_failures(rng: np.random.Generator, length: int, step: int) -> Panes:
    """Minutes of which 3 % fail, in an hour more and in another less; then three times as many."""
    share = 0.03 * noise(rng, length, 0.2) * np.where(np.arange(length) >= step, 3, 1)
    calls = rng.poisson(rhythm(length))
    return {
        START // 60 + at: vitals(calls=int(calls[at]), errors=int(rng.binomial(calls[at], share[at])))
        for at in range(length)
        if calls[at]
    }


def restless_latencies(rng: np.random.Generator, length: int, step: int) -> Panes:
    """Minutes of log-normal answers, slower by day; then twice as slow."""
    slow = noise(rng, length, 0.05) * (1 + rhythm(length) / 40) * np.where(np.arange(length) >= step, 2, 1)
    return {
        START // 60 + at: vitals(ms=tuple(rng.lognormal(6.9, 0.5, calls) * slow[at]))
        for at, calls in enumerate(rng.poisson(rhythm(length)))
        if calls
    }


def restless_scores(rng: np.random.Generator, length: int, step: int) -> Panes:
    """Minutes in which 80 % of the judged answers are liked; then 60 %."""
    liked = np.minimum(0.8 * noise(rng, length, 0.03), 1) * np.where(np.arange(length) >= step, 0.75, 1)
    found = {}
    for at, calls in enumerate(rng.poisson(rhythm(length)).tolist()):
        if calls:
            good = int(rng.binomial(calls, liked[at])) * 10**6
            found[START // 60 + at] = vitals(calls=calls, scores={"liked": (calls, good, good)})
    return found


def conversations(rng: np.random.Generator, length: int, step: int) -> Panes:
    """Minutes of 20 calls about many topics, now and then with one user's burst; then a tenth of a new one."""
    return {
        START // 60 + at: about(
            talk(rng, 20, new=0.1 if at >= step else 0, same=0 if at % 90 else 10), f"{at}"
        )
        for at in range(length)
    }


DAYS = 1_440
"""Minutes of a day."""
PAST: dict[str, Any] = {
    "quiet": 8 * DAYS,
    "step": 4 * DAYS + 600,
    "hole": (5 * DAYS - 200, 5 * DAYS + 500),
    "pane": 60,
}
"""Of rules that compare with past days."""

SUBJECTS: dict[str, Subject] = {
    "threshold": Subject(
        rule="alert: A\nthreshold: {metric: latency_p95, above: 4s, window: 5m, min_calls: 20}",
        traffic=latencies,
        quiet=2_000,
        step=500,
        delay=12,
        hole=(300, 700),
        early=lambda rng: {START // 10 + at: vitals(ms=(60_000.0,)) for at in range(19)},
    ),
    "outage": Subject(
        rule="alert: A\noutage: {by: [provider], window: 1m}",
        series=("openai",),
        traffic=failures,
        quiet=2_000,
        step=500,
        delay=6,
        hole=(300, 700),
        early=lambda rng: {START // 10: vitals(calls=9, errors=9)},
    ),
    "absence": Subject(
        rule="alert: A\nabsence: {by: [app], window: 15m}",
        series=("search",),
        traffic=stops,
        quiet=8_000,
        step=2_000,
        delay=91,
        hole=(3_000, 3_080),
        early=lambda rng: {START // 10: vitals(calls=2)},
    ),
    "runaway": Subject(
        rule="alert: A\nrunaway: {by: [session], spend: 5, window: 10m}",
        series=("s1",),
        traffic=spends,
        quiet=2_000,
        step=500,
        delay=12,
        hole=(300, 700),
        early=lambda rng: {START // 10 + at: vitals(cost=0.5) for at in range(9)},
    ),
    "budget": Subject(
        rule="alert: A\nbudget: {by: [team], limit: 100, per: day, thresholds: [100%]}",
        series=("search",),
        traffic=spends,
        quiet=4_000,
        step=500,
        delay=130,
        hole=(300, 700),
        early=lambda rng: {START // 10 + at: vitals(cost=9.9) for at in range(10)},
    ),
    "canary": Subject(
        rule="alert: A\ncanary: {on: prompt_version, by: []}",
        traffic=side_by_side,
        quiet=4_000,
        step=500,
        delay=400,
        hole=(300, 700),
        # Of those that are there from the beginning none is a canary.
        early=lambda rng: side_by_side(rng, 600, 0, begin=0),
    ),
    "drift": Subject(
        rule="alert: A\ndrift: {learn: 6h, series: 1}",
        traffic=conversations,
        quiet=4_000,
        step=600,
        # After six hours of learning the limits rest on less than two.
        delay=120,
        hole=(1_000, 1_200),
        # What is new before it has learned is as good as any other.
        early=lambda rng: conversations(rng, 359, 200),
        pane=60,
    ),
    "change": Subject(
        rule="alert: A\nchange: {metrics: [error_share, latency_p95], series: 1}",
        traffic=failures,
        quiet=6_000,
        step=1_000,
        delay=90,
        hole=(300, 700),
        # Half an hour with calls has to be there.
        early=lambda rng: failures(rng, 174, 90),
    ),
    "regression of a share": Subject(
        rule="alert: A\nregression: {metric: error_share, against: days, series: 1}",
        traffic=restless_failures,
        delay=300,
        alarms=1,
        early=lambda rng: restless_failures(rng, 3 * DAYS, 2 * DAYS),
        **PAST,
    ),
    "regression of a quantile": Subject(
        rule="alert: A\nregression: {metric: latency_p95, against: days, series: 1}",
        traffic=restless_latencies,
        delay=120,
        alarms=1,
        early=lambda rng: restless_latencies(rng, 3 * DAYS, 2 * DAYS),
        **PAST,
    ),
    "regression of a mean": Subject(
        rule="alert: A\nregression: {metric: score.liked_mean, against: days, series: 1}",
        traffic=restless_scores,
        delay=300,
        alarms=1,
        early=lambda rng: restless_scores(rng, 3 * DAYS, 2 * DAYS),
        **PAST,
    ),
}
