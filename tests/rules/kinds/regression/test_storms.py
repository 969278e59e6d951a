"""Storms of errors at the rate that was learned are no news; what is worse is found beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from llmvitals.record.vitals import Vitals
from llmvitals.rules.condition.power import Traffic
from llmvitals.rules.kinds.regression import hours
from llmvitals.rules.kinds.regression.gauges import gauge_of
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.sketch import counters
from llmvitals.sketch.quantiles import GAMMA, LOWEST
from panes import SECOND

DAY = 1_440
"""Minutes."""
STEP = math.log(GAMMA)
FIRST = 1_780_272_000 // 60
"""A minute; Monday, 00:00 UTC."""


def stormy(
    seed: int, days: int, *, calls: int, storms: float, change: int = 10**9, times: float = 1.0
) -> dict[int, Vitals]:
    """Minutes of calls of which 1 % fail, from `change` on `times` as many; in a storm 20 to 60 more in a row.

    calls, storms: a day. Calls come in every second minute.
    """
    rng = np.random.default_rng([9, seed])
    minute = np.arange(0, days * DAY, 2)
    busy = 1 + 0.8 * np.sin((minute / 60 % 24 - 9) / 24 * 2 * np.pi)
    made = rng.poisson(calls * 2 / DAY * busy)
    failed = rng.binomial(made, 0.01 * np.where(minute < change, 1.0, times))
    for start in np.flatnonzero(rng.random(len(minute)) < storms * 2 / DAY).tolist():
        left = int(rng.integers(20, 60))
        for at in range(start, min(start + 8, len(minute))):
            more = min(left, int(made[at] - failed[at]), 15)
            failed[at] += more
            left -= more
    found = {}
    for at, some, bad in zip(minute.tolist(), made.tolist(), failed.tolist(), strict=True):
        if some:
            sums = {"calls": some, "errors": bad}
            found[at] = Vitals(tuple(sums.get(name, 0) for name in counters.SUMS))
    return found


def breaches(rule: Regression, minutes: dict[int, Vitals]) -> list[int]:
    detector, state = rule.detector(60 * SECOND, ()), {}
    return [
        at
        for at, vitals in minutes.items()
        for reading in detector.take(state, FIRST + at, vitals)
        if reading.verdict == "breach"
    ]


@pytest.mark.parametrize(("calls", "storms"), [(12_000, 0.5), (3_000, 0.5), (3_000, 2.0)])
def test_a_storm_every_second_day_is_ordinary_life(calls: int, storms: float):
    """100 series may be told once in a month: three of them for three weeks are not told at all."""
    rule = Regression(metric="error_share", series=100)
    told = [breaches(rule, stormy(seed, 21, calls=calls, storms=storms)) for seed in range(3)]
    assert told == [[], [], []]


@pytest.mark.parametrize(("calls", "hours"), [(20_000, 8), (3_000, 72)])
def test_errors_that_rise_from_1_to_2_and_a_half_percent_are_found_among_storms(calls: int, hours: int):
    change = 17 * DAY + 600
    minutes = stormy(5, 21, calls=calls, storms=0.5, change=change, times=2.5)
    rule = Regression(metric="error_share", series=100)
    first = breaches(rule, minutes)[0]
    assert 0 < (first - change) / 60 <= hours


def test_it_speaks_from_the_sixth_weekday_on_and_not_at_the_first_weekend():
    """Five weekdays are enough for the next one; a weekend is compared with one before."""
    rule = Regression(metric="error_share", series=1)
    for change, due in ((4 * DAY, 7 * DAY), (7 * DAY + 600, 7 * DAY + 600)):
        minutes = stormy(6, 9, calls=20_000, storms=0, change=change, times=8)
        first = breaches(rule, minutes)[0]
        assert due < first < due + DAY


def test_500_calls_a_day_are_pooled_and_a_tripled_rate_is_found_within_the_week():
    change = 22 * DAY
    minutes = stormy(7, 30, calls=500, storms=0.1, change=change, times=4)
    first = breaches(Regression(metric="error_share", series=4), minutes)[0]
    assert 0 < first - change < 7 * DAY


def traffic(**sums: int) -> Traffic:
    """A day."""
    return Traffic(Vitals(tuple(sums.get(name, 0) for name in counters.SUMS)), 1.0)


def seen(calls: int, bad: int) -> Traffic:
    return traffic(calls=calls, errors=bad)


def test_a_rule_says_what_it_can_see():
    (much,) = Regression(metric="error_share", series=100).power(seen(20_000, 200))
    (little,) = Regression(metric="error_share", series=100).power(seen(500, 5))
    assert (much.base, much.calls) == (0.01, 20_000)
    assert much.day is not None
    assert much.week is not None
    assert little.week is not None
    assert 0.2 < much.week < much.day < 1.5, "2.5 times as many are found within hours"
    assert little.week > 1
    assert little.note == "too few calls to see +30%"
    (alone,) = Regression(metric="error_share", series=1).power(seen(500, 5))
    assert alone.week is not None
    assert alone.week < little.week
    assert Regression(metric="error_share").power(Traffic(Vitals(), 1.0)) == []


@pytest.mark.parametrize(
    ("rule", "calls", "counted", "most"),
    [
        ({"metric": "error_share"}, 20_000, 2_000, 0.3),
        ({"metric": "error_share"}, 20_000, 16_000, 0.25),
        ({"metric": "cache_hit_share", "direction": "up"}, 20_000, 12_000, 0.3),
    ],
)
def test_a_frequent_share_is_seen_to_rise_as_far_as_it_can(rule: dict, calls: int, counted: int, most: float):
    name = "errors" if rule["metric"] == "error_share" else "cache_hits"
    (power,) = Regression(**rule).power(traffic(calls=calls, **{name: counted}))
    assert power.week is not None
    assert 0.2 < power.week < most
    assert power.note == ""


@pytest.mark.parametrize(
    ("rule", "counted", "note"),
    [
        ({"metric": "error_share"}, {"errors": 18_000}, "it can't rise by 20%"),
        ({"metric": "cache_hit_share"}, {"cache_hits": 10}, "no fall below 0.1% counts"),
        ({"metric": "cache_hit_share"}, {}, "no fall below 0.1% counts"),
    ],
)
def test_what_no_number_of_calls_can_show_is_no_lack_of_calls(rule: dict, counted: dict, note: str):
    (power,) = Regression(**rule).power(traffic(calls=20_000, **counted))
    assert (power.day, power.week, power.note) == (None, None, note)


def test_a_rise_of_what_hardly_happens_is_measured_from_one_in_a_thousand():
    (power,) = Regression(metric="error_share").power(traffic(calls=200_000, errors=2))
    assert power.base == 0.001
    assert power.week is not None
    assert 0.2 < power.week < 0.5
    assert power.note.endswith("usually less than 0.1%: a rise is measured from it")


def test_a_rule_that_reports_only_great_changes_does_not_lack_calls():
    for effect, counted in (("50%", 400), ("300%", 400)):
        (power,) = Regression(metric="error_share", effect=effect).power(
            traffic(calls=20_000, errors=counted)
        )
        assert power.note == "", effect
    (power,) = Regression(metric="error_share", effect="50%").power(traffic(calls=500, errors=10))
    assert power.note == "too few calls to see +75%"


def test_a_change_of_weekends_only_is_found_at_the_first_of_them():
    rule = Regression(metric="error_share", series=100)
    minute = np.arange(28 * DAY)
    weekend = (minute // DAY % 7 >= 5) & (minute >= 21 * DAY)
    calm = stormy(8, 28, calls=12_000, storms=0)
    worse = stormy(8, 28, calls=12_000, storms=0, change=0, times=3)
    mixed = {at: (worse if weekend[at] else calm).get(at) for at in range(28 * DAY)}
    first, *_ = breaches(rule, {at: vitals for at, vitals in mixed.items() if vitals})
    assert 26 * DAY < first < 26 * DAY + 12 * 60


def test_with_days_too_a_weekend_that_differs_is_ordinary_and_one_that_gets_worse_is_not():
    rule = Regression(metric="error_share", against="days", series=10)
    minute = np.arange(35 * DAY)
    calm, often, worse = (stormy(12, 35, calls=6_000, storms=0, change=0, times=times) for times in (1, 4, 9))
    weekend = minute // DAY % 7 >= 5
    ordinary = [(often if weekend[at] else calm).get(at) for at in range(35 * DAY)]
    early = breaches(rule, {at: vitals for at, vitals in enumerate(ordinary[: 28 * DAY]) if vitals})
    assert [at // DAY for at in early] == [5], "only the first weekend is news"
    last = [worse.get(at) if at >= 33 * DAY else vitals for at, vitals in enumerate(ordinary)]
    _, first, *_ = breaches(rule, {at: vitals for at, vitals in enumerate(last) if vitals})
    assert 33 * DAY < first < 33 * DAY + 12 * 60


def test_a_past_that_is_shorter_than_a_week_has_days_of_both_kinds():
    """The last three days before a Monday hold one weekday."""
    rule = Regression(metric="error_share", against="days", past=3, series=1)
    change = 14 * DAY + 600
    first, *_ = breaches(rule, stormy(13, 16, calls=12_000, storms=0, change=change, times=4))
    assert change < first < change + 6 * 60


@pytest.mark.parametrize("calls", [15, 20, 25, 40, 400])
def test_the_usual_quantile_of_hours_with_few_calls_leaves_as_many_beyond_it_as_it_says(calls: int):
    """It is the median of the hours; by the mean rank of order statistics, 3.4 % were left with 20 calls."""
    rng = np.random.default_rng(10)
    edge, found = gauge_of("latency_p95"), np.zeros(1_500, hours.ROW)
    for row in found:
        stat = edge.row(sorted_bins(rng.lognormal(6, 0.6, calls)))
        assert stat is not None
        row["calls"], row["stat"] = calls, stat[0]
    usual = hours.middle(found, "stat")
    beyond = 1 - norm.cdf((usual * STEP + LOWEST * STEP - STEP / 2 - 6) / 0.6)
    assert beyond == pytest.approx(0.05, abs=0.004)


def sorted_bins(ms: np.ndarray) -> tuple[list[float], dict[str, int]]:
    numbers = np.ceil(np.log(ms) / STEP).astype(int) - LOWEST
    keys, counts = np.unique(numbers, return_counts=True)
    return [len(ms)], dict(zip(map(str, keys.tolist()), counts.tolist(), strict=True))


def test_the_state_of_an_earlier_version_keeps_its_hours_and_its_alert():
    """Version 0.1 had other evidence, and a dispersion for each hour in the last four bytes of a row."""
    minutes = stormy(11, 16, calls=12_000, storms=0)
    rule, state = Regression(metric="error_share", series=1), {}
    detector = rule.detector(60 * SECOND, ())
    before = [at for at in minutes if at < 15 * DAY]
    for at in before:
        detector.take(state, FIRST + at, minutes[at])
    old = {
        "hours": state["hours"],
        "hour": state["hour"],
        "sum": state["sum"],
        "usual": {"value": 0.01, "calls": 600.0, "guess": 1.25, "noise": {"up": [0.0, 1.0]}},
        "up": {"r": [0.5] * 6, "w": 1.5, "since": 5, "sample": [[9, 1], {}], "expected": 0.1},
        "told": ["up", 3],
        "trial": {"sum": -1.0, "least": -0.5, "minutes": 7},
        "last": FIRST + before[-1],
    }
    said = [
        reading
        for at in minutes
        if at > before[-1]
        for reading in detector.take(old, FIRST + at, minutes[at])
        if reading.note
    ]
    assert [reading.note for reading in said] == ["back to the usual level"]
    assert len(old["hours"]) >= len(state["hours"])
