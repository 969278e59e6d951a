"""Forecasts of a period's end: what they say, how sure they are, and when they hold their tongue."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.rules.kinds.budget.projection import projection
from panes import MINUTE, PANE, alerts, points, rule_engine, rule_outputs, vitals, walk
from spend import DAY, HOUR, brief, moment
from waiting import deadline

FIRST = moment("2025-06-01T00:00")  # a Sunday
MONTH = "alert: A\nbudget: {{limit: {limit}, per: month, thresholds: [100%], forecast: 80%}}"


def daily(dollars: float, days: float, begin: int = FIRST) -> dict:
    """So much a day, in even parts every quarter of an hour."""
    step = 15 * MINUTE
    return {pane: vitals(cost=dollars * step / DAY) for pane in range(begin, begin + int(days * DAY), step)}


def test_a_hundred_dollars_on_the_first_day_are_not_3100_with_certainty(tmp_path):
    """LiteLLM's projection."""
    rule = rule_engine(tmp_path, MONTH.format(limit=2000))
    heard = rule_outputs(rule, daily(100, 1), FIRST + DAY)
    assert alerts(heard) == [], "a day is too little to say anything"
    heard = rule_outputs(rule, daily(100, 1.5), FIRST + int(1.5 * DAY))
    assert alerts(heard) == []
    told = points(heard)[-1].measures
    assert told["forecast_usd"] == pytest.approx(3000, abs=5)
    assert told["forecast_low_usd"] < 500
    assert told["forecast_high_usd"] > 5_000


def test_a_hundred_dollars_and_then_nothing_say_nothing(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(limit=500))
    assert brief(walk(rule, daily(100, 1), FIRST + 29 * DAY)) == []


def test_a_day_late_in_the_period_is_linear_and_says_so(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(limit=300))
    begin = FIRST + 10 * DAY
    (fired, *_) = walk(rule, daily(100, 1.5, begin), begin + int(1.5 * DAY))
    assert brief([fired]) == [("firing", "forecast", "")]
    # A day of whole hours, the first of which does not count, is over at one.
    assert fired.at // PANE == begin + 25 * HOUR
    assert fired.note.endswith("(linear, one day of history)")
    assert fired.summary == "The forecast exceeds $300 per month: all calls"
    # 104.17 spent, 19 days less an hour to come at 100 a day, each surely wrong by all of it: 1.28 × 1,895.83.
    assert fired.note.startswith(
        "about $2,000 by Tue 1 Jul 2025 at 00:00 UTC, 80 % interval $104.17 to $4,429.61; "
    )


def test_it_is_told_once_and_ends_with_the_period(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(limit=500))
    found = walk(rule, daily(20, 29), FIRST + 31 * DAY)
    assert brief(found) == [
        ("firing", "forecast", ""),
        ("firing", "", "100%"),
        ("resolved", "", "100%"),
        ("resolved", "forecast", ""),
    ]
    fired, ladder, _, over = found
    assert "daily pattern over" in fired.note
    assert fired.at < ladder.at - 10 * DAY * PANE, "days before it is too late"
    assert fired.episode == over.episode != ladder.episode
    assert over.note == "the period ended at $580"
    assert over.until == fired.ends == (FIRST + 30 * DAY) * PANE


def test_it_is_taken_back_when_the_spend_stops(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(limit=500))
    fired, over = walk(rule, daily(20, 10), FIRST + 40 * DAY)
    assert (over.status, over.facet, over.until) == ("resolved", "forecast", over.at)
    assert over.at < (FIRST + 29 * DAY) * PANE
    assert "chance of overspending 59 %" in over.note, (
        "three quarters of 80 %: an hour more or less changes nothing"
    )
    assert fired.episode == over.episode


def test_a_burst_that_is_over_is_taken_back_within_hours(tmp_path):
    """An even spend, and on the eleventh day four hours at twenty times as much: 77 % of the limit are spent.

    It was taken back a day and a half later: the burst had raised the level of the model.
    """
    rule = rule_engine(tmp_path, MONTH.format(limit=430))
    begin = FIRST + 10 * DAY + 10 * HOUR
    spend = daily(10, 30)
    spend |= {pane: vitals(cost=10 * 15 / 1440 * 20) for pane in spend if begin <= pane < begin + 4 * HOUR}
    fired, resolved = walk(rule, spend, FIRST + 30 * DAY)
    assert brief([fired, resolved]) == [("firing", "forecast", ""), ("resolved", "forecast", "")]
    assert begin < fired.at // PANE <= begin + 5 * HOUR
    assert begin + 4 * HOUR < resolved.at // PANE <= begin + 8 * HOUR


def test_two_weeks_show_the_week_and_the_next_month_is_foreseen_at_once(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(limit=400))
    panes = {}
    for day in range(33):
        if day % 7 not in (0, 6):
            panes |= daily(20, 1, FIRST + day * DAY)
    fired = [alert for alert in walk(rule, panes, FIRST + 33 * DAY) if alert.status == "firing"][-1]
    # July 2025 has 23 working days: $460. It is said in its first hours.
    assert fired.at < (FIRST + 30 * DAY + 3 * HOUR) * PANE
    assert "about $46" in fired.note
    assert "weekly pattern over 14 days" in fired.note


def test_nobody_is_told_what_is_over_already(tmp_path):
    rule = rule_engine(tmp_path, MONTH.format(limit=20))
    assert [alert.facet for alert in walk(rule, daily(100, 20), FIRST + 20 * DAY)] == [""]


def test_the_period_ends_between_two_hours_in_kathmandu(tmp_path):
    text = (
        "alert: A\nbudget: {limit: 30, per: day, timezone: Asia/Kathmandu, thresholds: [200%], forecast: 80%}"
    )
    begin = moment("2025-06-01T00:00", "Asia/Kathmandu")
    found = walk(rule_engine(tmp_path, text), daily(40, 10, begin), begin + 10 * DAY)
    ends = [alert for alert in found if alert.status == "resolved"]
    assert ends
    assert {(alert.at // PANE - begin) % DAY for alert in ends} == {0}
    assert {alert.note for alert in ends} == {"the period ended at $40"}


def test_history_is_bounded_and_forgotten(tmp_path):
    rule, state = rule_engine(tmp_path, MONTH.format(limit=5000)), {}
    for day in range(20):
        panes = daily(20, 1, FIRST + day * DAY)
        rule.advance("all", (), state, floor=FIRST + (day + 1) * DAY, closed=sorted(panes.items()))
    ((entry,), _) = state["rules"].values(), state
    assert len(entry["seen"]["hours"][2]) == 14 * 24
    rule.advance("all", (), state, floor=FIRST + 90 * DAY)
    assert state == {}


HOURS = st.dictionaries(st.integers(0, 80), st.integers(0, 3_000_000_000), min_size=20, max_size=60)


@settings(max_examples=15)
@given(HOURS, st.sets(st.integers(0, 90 * HOUR), max_size=4))
def test_however_it_is_cut_and_restarted_it_says_the_same(tmp_path_factory, hours, cuts):
    rule = rule_engine(
        tmp_path_factory.mktemp("rules"), MONTH.format(limit=100).replace("}", ", burn_rate: default}")
    )
    begin = FIRST + 20 * DAY
    panes = {begin + hour * HOUR + hour: vitals(cost_nano=nano) for hour, nano in hours.items()}
    once = rule_outputs(rule, panes, begin + 12 * DAY)
    cut = rule_outputs(rule, panes, begin + 12 * DAY, cuts=[begin + each for each in cuts], packed=True)
    assert (alerts(cut), points(cut)) == (alerts(once), points(once))


def test_an_even_spend_goes_on(tmp_path):
    found = projection([2.0] * 400, 100)
    assert found is not None
    assert found.rest == pytest.approx(200)
    # What is left is the doubt of 400 hours: 24/400 of it, and 1.2816 of that to either side for 80 %.
    assert found.interval() == pytest.approx((200 - 12 * 1.2816, 200 + 12 * 1.2816), rel=1e-3)


def test_one_burst_is_an_accident_and_two_are_a_habit():
    even, burst = [1.0] * 100, [20.0] * 4
    once, twice = projection(even + burst + even, 240), projection((even + burst) * 2 + even, 240)
    goes_on = projection(even + even + burst, 240)
    assert once is not None
    assert twice is not None
    assert goes_on is not None
    assert once.rest == pytest.approx(240)
    assert min(twice.rest, goes_on.rest) > 270


def test_days_that_differ_make_it_doubt():
    """48, 0, 48 and 0 dollars: a mean of 24, with a standard error of √768/2 = 13.86, which is 57.7 %."""
    found = projection(([2.0] * 24 + [0.0] * 24) * 2, 240)
    assert found is not None
    assert found.deviation / found.rest > 0.577


def test_nights_are_not_days():
    """Six hours of night to come cost nothing, and eighteen of day eighteen dollars."""
    hours = ([0.0] * 6 + [1.0] * 18) * 10
    night, day = projection(hours, 6), projection(hours, 24)
    assert night is not None
    assert day is not None
    assert (night.rest, day.rest) == (pytest.approx(0, abs=0.2), pytest.approx(18, rel=0.02))


@pytest.mark.parametrize("hours", [[0.0] * 400, [0.0] * 30 + [5.0] * 30, [1e-9] * 100, [10_000.0, 0.0] * 200])
def test_no_history_is_too_odd(hours):
    found = projection(hours, 700.25)
    assert found is not None
    low, high = found.interval()
    assert 0 <= low <= found.rest <= high < math.inf
    assert 0 <= found.chance(10.0) <= 1


def test_four_in_five_times_the_end_is_in_the_interval():
    """Against days that differ by a fifth, hours by two thirds and a level that wanders by 5 % a day."""
    dice, inside, rounds = random.Random(3), 0, 60
    for _ in range(rounds):
        level, hours = 1.0, []
        for day in range(14 + 10):
            level *= math.exp(dice.gauss(0, 0.05))
            busy = level * math.exp(dice.gauss(0, 0.2)) * (0.4 if day % 7 > 4 else 1)
            hours += [
                busy * (1 + 0.8 * math.sin(hour / 12 * math.pi)) * math.exp(dice.gauss(0, 0.5))
                for hour in range(24)
            ]
        found = projection(hours[: 14 * 24], 10 * 24)
        assert found is not None
        low, high = found.interval()
        inside += low <= sum(hours[14 * 24 :]) <= high
    assert 0.7 <= inside / rounds <= 0.99


def test_who_forecasts_nothing_does_not_wait_for_river():
    code = "import sys, llmvitals.rules.engine, llmvitals.pipeline; assert 'river' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=deadline(60), check=False).returncode == 0
