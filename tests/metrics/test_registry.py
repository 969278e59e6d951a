"""Every metric of the registry is watched, stored, asked for, compared and told to people alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from frames import FIRST, PANE, entry, frame, log, points_of
from llmvitals.merge import Merge, MergePlan
from llmvitals.metrics.quantity import amount
from llmvitals.metrics.registry import CANARY, METRICS, metric_of
from llmvitals.record.view import DEFAULT_VIEWS
from llmvitals.record.vitals import Vitals
from llmvitals.rules.condition.trailing import Statistic
from llmvitals.rules.kinds.canary.spec import Canary
from llmvitals.rules.kinds.change.spec import Change
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.rules.kinds.threshold.spec import Threshold
from llmvitals.settings import Settings
from llmvitals.sketch import counters, quantiles
from llmvitals.store.query import query
from llmvitals.store.question import Question
from llmvitals.store.sqlite.store import SqliteStore
from store_points import records

CALLS = 40
LIMITS = {"ms": "4s", "share": "20%", "score": 0.5}
UNITS = {
    "usd": "$", "ms": "s", "share": "%", "tokens": "tokens", "tokens_per_s": "tokens/s", "per_s": "/s",
    "count": "", "score": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def pane() -> Vitals:
    """A pane in which every sum, maximum and sketch has something."""
    rng = np.random.default_rng(7)
    keys = np.concatenate(
        [quantiles.bin_keys(sketch, rng.uniform(1, 100, CALLS)) for sketch in quantiles.SKETCHES]
    )
    keys, counts = np.unique(keys, return_counts=True)
    sums = {name: place + 2 for place, name in enumerate(counters.SUMS)}
    counted = ("calls", "usage_calls", "priced_calls", "latency_count", "ttft_count", "toxicity_count")
    sums |= dict.fromkeys(counted, CALLS)
    return Vitals(
        tuple(sums[name] for name in counters.SUMS),
        (10**8,) * len(counters.MAXIMA),
        (keys.astype(np.uint16), counts.astype(np.int64)),
    )


@pytest.fixture
async def settings(tmp_path: Path, pane: Vitals) -> Settings:
    """A store that holds the points of one pane."""
    plan = MergePlan(views={view.name: view for view in DEFAULT_VIEWS}, pane_us=PANE)
    merge = Merge(plan, shard=0, parts={}, beginning=0)
    sent = merge.apply(log([frame(0, 1, entry(0, pane), floor=1, of=1)]))
    writer = SqliteStore(Settings(sqlite=tmp_path / "vitals.sqlite"))
    await writer.start()
    await writer.take(0, records(points_of(sent)))
    await writer.stop()
    return Settings(sqlite=tmp_path / "vitals.sqlite")


def watched(name: str, pane: Vitals) -> float:
    """What a threshold rule on the metric reads of the pane."""
    limit = LIMITS.get(METRICS[name].unit, 1)
    rule = Threshold(metric=name, above=limit, window="10s", min_calls=1)
    detector = rule.detector(PANE, ())
    assert isinstance(detector, Statistic)
    (reading,) = detector.take({}, FIRST, pane)
    assert reading.verdict != "none"
    return reading.value


@pytest.mark.parametrize("name", METRICS)
async def test_a_metric_is_queried_as_it_is_watched(name: str, pane: Vitals, settings: Settings):
    question = Question(name, window="10s", since="2020-01-01T00:00:00Z", view="all")
    found = await query(settings, question, clock=lambda: (FIRST + 9) * PANE / 1e6)
    assert [row[-1] for row in found.rows] == [pytest.approx(watched(name, pane), rel=1e-9)]


@pytest.mark.parametrize("name", METRICS)
def test_people_read_a_metric_with_its_unit(name: str, pane: Vitals):
    metric = METRICS[name]
    assert UNITS[metric.unit] in amount(watched(name, pane), metric.unit)
    assert metric.text
    if metric.unit == "share":
        assert metric.sentence, "a share needs the sentence that follows `12 % of`"


@pytest.mark.parametrize("name", METRICS)
def test_regression_takes_a_metric_just_where_the_registry_says_so(name: str):
    if METRICS[name].compared:
        assert Regression(metric=name).detector(60_000_000, ())
        return
    with pytest.raises(ValidationError, match="no calls that can be compared"):
        Regression(metric=name)


@pytest.mark.parametrize("name", METRICS)
def test_change_takes_what_does_not_follow_the_traffic(name: str):
    metric = METRICS[name]
    assert not (metric.watched and metric.additive)
    if metric.additive or metric.top:
        with pytest.raises(ValidationError, match="depends on the number of calls"):
            Change(metrics=[name])
    else:
        assert Change(metrics=[name]).metrics == (name,)


def test_canary_names_are_metrics():
    assert set(CANARY.values()) <= set(METRICS)
    assert Canary(on="model", metrics=list(CANARY)).metrics == tuple(CANARY)


def searches(score: float, rng: np.random.Generator) -> Vitals:
    """A minute of 20 searches whose best documents score about this."""
    found = np.clip(rng.normal(score, 0.05, 20), 0, 1)
    sums = {"calls": 20, "top_score_count": 20, "top_score_micro": int(found.sum() * 1e6), "retrievals": 20}
    return replace(Vitals(), sums=tuple(sums.get(name, 0) for name in counters.SUMS))


@pytest.mark.parametrize(("score", "alarms"), [(0.9, False), (0.3, True)])
def test_retrieval_that_improves_is_no_regression_and_retrieval_that_worsens_is(score: float, alarms: bool):
    rng = np.random.default_rng(3)
    rule = Regression(metric="retrieval_top_score_mean", against="days")
    detector, state, day = rule.detector(60_000_000, ()), {}, 24 * 60
    said = [
        reading
        for minute in range(5 * day)
        for reading in detector.take(state, FIRST + minute, searches(0.6 if minute < 4 * day else score, rng))
    ]
    assert any(reading.verdict == "breach" for reading in said) == alarms


def test_a_score_by_name_is_a_metric():
    metric = metric_of("score.helpful_mean")
    assert (metric.unit, metric.worse, metric.compared) == ("score", "down", "mean")
