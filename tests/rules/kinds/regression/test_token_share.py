"""A share of tokens, and the mean of all scores, against past days."""

from __future__ import annotations

import numpy as np
import pytest

from llmvitals.metrics.registry import metric_of
from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.sketch import counters

DAY = 1_440
FIRST = 1_780_272_000 // 60
"""A minute; Monday, 00:00 UTC."""


def minute(rng: np.random.Generator, hits: float, calls: int = 7) -> Vitals:
    """A minute of calls whose prompts differ widely; a share of them reads 86 % of its input from the cache."""
    tokens = rng.lognormal(6.8, 1.2, rng.poisson(calls) + 1)
    cached = np.where(rng.random(len(tokens)) < hits, 0.86 * tokens, 0)
    sums = {
        "calls": len(tokens),
        "usage_calls": len(tokens),
        "input_tokens": int(tokens.sum()),
        "cached_tokens": int(cached.sum()),
    }
    return Vitals(tuple(sums.get(name, 0) for name in counters.SUMS))


def told(rule: Regression, minutes: list[Vitals]) -> list:
    detector, state = rule.detector(60_000_000, ()), {}
    found = [each for at, vitals in enumerate(minutes) for each in detector.take(state, FIRST + at, vitals)]
    return [(each.at / 60e6 - FIRST, each) for each in found if each.verdict == "breach"]


def test_a_cache_that_gives_45_percent_in_place_of_60_is_found_within_a_day():
    rng = np.random.default_rng(1)
    rule = Regression(metric="cached_token_share", against="days", effect="10%")
    quiet = [minute(rng, 0.7) for _ in range(14 * DAY)]
    found = told(rule, quiet + [minute(rng, 0.525) for _ in range(DAY)])
    assert len(found) == 1
    at, reading = found[0]
    assert at > 14 * DAY
    assert reading.value == pytest.approx(0.45, abs=0.05)
    assert reading.limit == pytest.approx(0.60, abs=0.03)


def test_a_cache_that_rises_or_that_hardly_is_there_is_no_news():
    rng = np.random.default_rng(2)
    rule = Regression(metric="cached_token_share", against="days", effect="10%")
    quiet = [minute(rng, 0.5) for _ in range(4 * DAY)]
    assert told(rule, quiet + [minute(rng, 0.8) for _ in range(DAY)]) == []
    rare = [minute(rng, 0.01) for _ in range(4 * DAY)]
    assert told(rule, rare + [minute(rng, 0) for _ in range(DAY)]) == []


def scored(rng: np.random.Generator, mean: float) -> Vitals:
    """A minute with two scores of three answers, and one of profanity, which rises as the others fall."""
    values = (np.clip(rng.normal(mean, 0.15, 3), 0, 1) * 1e6).astype(int)
    scores = {name: (3, int(values.sum()), 0) for name in ("faithful", "helpful")}
    sums = {"calls": 3}
    return Vitals(
        tuple(sums.get(name, 0) for name in counters.SUMS),
        scores=scores | {"profanity": (3, int(3e6 - values.sum()), 0)},
    )


def test_a_rule_may_read_all_scores_whatever_their_names():
    rng = np.random.default_rng(3)
    metric = metric_of("score.*_mean")
    assert metric.read(metric.sample(scored(rng, 0.8)), 60) == pytest.approx(0.8, abs=0.2)
    rule = Regression(metric="score.*_mean", against="days")
    quiet = [scored(rng, 0.8) for _ in range(4 * DAY)]
    found = told(rule, quiet + [scored(rng, 0.65) for _ in range(DAY)])
    assert [at > 4 * DAY for at, _ in found] == [True]
    assert found[0][1].value == pytest.approx(0.65, abs=0.05)
