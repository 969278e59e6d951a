"""Storms of errors at the rate that was learned are no news; what is worse is found beside them."""

from __future__ import annotations

import numpy as np
import pytest

from llmvitals.record.vitals import Vitals
from llmvitals.rules.condition.power import Traffic
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.sketch import counters
from panes import SECOND

DAY = 1_440
"""Minutes."""
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


def test_it_speaks_from_the_sixth_day_on_and_not_at_the_first_weekend():
    """Five weekdays are enough for the sixth; a weekend is compared with one before."""
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


def seen(calls: int, bad: int) -> Traffic:
    sums = {"calls": calls, "errors": bad}
    return Traffic(Vitals(tuple(sums.get(name, 0) for name in counters.SUMS)), 1.0)


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
