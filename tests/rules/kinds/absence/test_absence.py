"""Absence: a silence where calls were to be expected, and only there."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.errors import RuleError
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE
from panes import PANE, rule_engine, vitals, walk

MONDAY = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
STEP = 5 * MINUTE
BUSY = vitals(calls=50)
"""Of five minutes."""


def rule(folder, condition: str = "", pane: int = PANE):
    return rule_engine(folder, f"alert: Quiet\nabsence: {{by: [app]{condition}}}", pane)


def every(start: int, end: int, content=BUSY):
    """Calls in a pane of every five minutes."""
    return {time // PANE: content for time in range(MONDAY + start, MONDAY + end, STEP)}


def heard(folder, panes, end: int, condition: str = "", **how):
    found = walk(rule(folder, condition), panes, (MONDAY + end) // PANE, series=("search",), **how)
    return [(alert.status, alert.at - MONDAY) for alert in found], found


def office(days: range):
    """Calls from 9:00 to 17:00 of weekdays, from Monday the 0th on."""
    return {
        pane: content
        for day in days
        if day % 7 < 5
        for pane, content in every(day * DAY + 9 * HOUR, day * DAY + 17 * HOUR).items()
    }


@pytest.mark.parametrize("expect", ["", ", expect: always"])
def test_a_silence_is_told_once_and_ends_with_the_next_call(tmp_path, expect):
    panes = every(0, 3 * HOUR) | every(5 * HOUR, 6 * HOUR)
    times, (alert, over) = heard(tmp_path, panes, 6 * HOUR, expect)
    # The last call's pane ends at 2:55:10.
    last = 3 * HOUR - STEP + PANE
    assert times == [("firing", last + 15 * MINUTE), ("resolved", 5 * HOUR + PANE)]
    # 600 calls in each hour: a quarter of an hour has a quarter of them.
    assert (
        alert.summary == "No calls for 15 min: app=search (about 150 calls were expected by the rate before)"
    )
    assert over.summary == "No calls for 2 h 4 min: app=search (calls are back)"
    assert alert.episode == over.episode


def test_the_window_may_be_any(tmp_path):
    times, _ = heard(tmp_path, every(0, 3 * HOUR), 6 * HOUR, ", window: 2h")
    assert times == [("firing", 5 * HOUR - STEP + PANE)]


def test_little_traffic_never_pages(tmp_path):
    lone = {pane: vitals(calls=1) for pane in every(0, 9 * HOUR)}
    assert heard(tmp_path, lone, DAY)[0] == []
    assert heard(tmp_path, lone, DAY, ", expect: always")[0] == []
    assert len(heard(tmp_path, lone, DAY, ", min_calls: 3")[0]) == 1
    assert heard(tmp_path, every(0, STEP), DAY, ", min_calls: 13")[0] == []


def test_nights_and_weekends_are_no_silence(tmp_path):
    times, _ = heard(tmp_path, office(range(26)), 33 * DAY)
    # The first night is not known to be quiet; on the last Monday nobody comes.
    assert [when // DAY for how, when in times if how == "firing"] == [0, 28]


def test_the_first_evening_falls_gradually_and_is_no_silence(tmp_path):
    calls = [60, 240, 480, 600, 500, 300, 150, 60, 24, 12, 1, 1]
    panes = {
        (MONDAY + (8 + hour) * HOUR + place * HOUR // 12) // PANE: vitals(calls=max(many // 12, 1))
        for hour, many in enumerate(calls)
        for place in range(min(many, 12))
    }
    assert heard(tmp_path, panes, 31 * HOUR, ", window: 6h, min_calls: 30")[0] == []


def sessions(days: int, *, calls: int, many: int, seed: int = 7):
    """Sessions that begin at any time, `many` a day, with so many calls each within some minutes."""
    dice = random.Random(seed)
    panes: dict[int, int] = {}
    for begin in (dice.uniform(0, days * DAY) for _ in range(days * many)):
        for call in range(max(1, round(dice.expovariate(1 / calls)))):
            pane = (MONDAY + int(begin) + call * 10_000_000) // PANE
            panes[pane] = panes.get(pane, 0) + 1
    return {
        pane: vitals(calls=many) for pane, many in sorted(panes.items()) if pane * PANE < MONDAY + days * DAY
    }


def test_ten_missing_calls_are_no_silence_if_they_come_in_sessions_of_forty(tmp_path):
    """Two sessions an hour: in a month some hours have none."""
    panes, end = sessions(28, calls=40, many=48), 28 * DAY
    times, _ = heard(tmp_path, panes, end, ", window: 1h, min_calls: 10")
    assert [when / DAY for how, when in times if how == "firing" and when > 2 * DAY] == []
    # A silence of a day is still one.
    times, _ = heard(tmp_path, panes, end + DAY, ", window: 1h, min_calls: 10")
    (fired,) = [when for how, when in times if how == "firing" and when > end]
    assert fired < end + 18 * HOUR


def test_a_small_app_is_missed_once_enough_calls_are_missing_in_all(tmp_path):
    """Four calls an hour: no single window has twenty."""
    panes = {
        pane: vitals(calls=1)
        for pane in range(MONDAY // PANE, (MONDAY + 15 * DAY) // PANE, 15 * MINUTE // PANE)
    }
    times, found = heard(tmp_path, panes, 16 * DAY, ", window: 1h, min_calls: 20")
    assert [how for how, _ in times] == ["firing"]
    assert 15 * DAY + 4 * HOUR < times[0][1] < 15 * DAY + 7 * HOUR
    assert "by the same hour of past weeks" in found[0].note


def test_a_silence_at_noon_is_one_and_on_a_quiet_morning_it_shows_late(tmp_path):
    weeks = office(range(21))
    tuesday = 22 * DAY
    half = every(21 * DAY + 9 * HOUR, 21 * DAY + 17 * HOUR) | every(tuesday + 9 * HOUR, tuesday + 12 * HOUR)
    times, found = heard(tmp_path, weeks | half, tuesday + 23 * HOUR)
    (noon,) = [when for _, when in times if when > tuesday]
    assert noon == tuesday + 12 * HOUR - STEP + PANE + 15 * MINUTE
    assert found[-1].note == "about 150 calls were expected by the same hour of past weeks"
    times, _ = heard(tmp_path, weeks | every(21 * DAY + 9 * HOUR, 21 * DAY + 17 * HOUR), tuesday + 23 * HOUR)
    # Nobody came on Tuesday. The first hour of a day may begin late, so the second one tells.
    assert [when for _, when in times if when > tuesday] == [tuesday + 10 * HOUR + 15 * MINUTE]


def test_one_outage_last_week_does_not_hide_the_next(tmp_path):
    panes = every(0, 28 * DAY + 12 * HOUR)
    hole = range((MONDAY + 21 * DAY + 10 * HOUR) // PANE, (MONDAY + 21 * DAY + 20 * HOUR) // PANE)
    times, _ = heard(tmp_path, {pane: panes[pane] for pane in panes if pane not in hole}, 29 * DAY)
    assert [when // HOUR for how, when in times if how == "firing"] == [21 * 24 + 10, 28 * 24 + 12]


@pytest.mark.parametrize("expect", ["", ", expect: always"])
def test_one_that_stays_away_for_a_day_is_given_up(tmp_path, expect):
    times, found = heard(tmp_path, every(0, 3 * HOUR), 60 * DAY, expect)
    fired = 3 * HOUR - STEP + PANE + 15 * MINUTE
    assert times == [("firing", fired), ("resolved", fired + DAY)]
    assert found[1].reason == "no calls for a day; no longer expected"


@pytest.mark.parametrize("expect", ["", ", expect: always"])
def test_nothing_is_remembered_for_ever(tmp_path, expect):
    watched = rule(tmp_path, expect)
    view, state = watched.views[0].name, {}
    panes = every(0, 3 * HOUR)
    watched.advance(view, ("a",), state, floor=max(panes) + 1, closed=sorted(panes.items()))
    assert watched.due(state) < FOREVER
    watched.advance(view, ("a",), state, floor=(MONDAY + 30 * DAY) // PANE)
    assert state == {}


def test_five_weeks_of_calls_are_four_weeks_of_numbers(tmp_path):
    watched = rule(tmp_path)
    view, state = watched.views[0].name, {}
    panes = [((MONDAY + hour * HOUR) // PANE, BUSY) for hour in range(35 * 24)]
    watched.advance(view, ("a",), state, floor=panes[-1][0] + 1, closed=panes)
    assert len(state["rules"]["Quiet"]["seen"]["hours"]) <= 28 * 24 + 2


@pytest.mark.parametrize(
    ("condition", "cure"),
    [
        ("by: [session]", "calls of every session stop"),
        ("window: 15", "such as 30s or 5m"),
        ("window: 2d", "at most 24h"),
        ("expect: weekly", "write one of seasonal, always"),
        ("expect: alway", "did you mean always?"),
        ("min_calls: 0", "write 1 or more"),
        ("series: [search]", "unknown key 'series'"),
        ("window: 15m}\nno_data: keep #", "takes no no_data: leave it out"),
    ],
)
def test_mistakes_are_told_with_their_cure(tmp_path, condition, cure):
    with pytest.raises(RuleError, match=re.escape(cure)):
        rule_engine(tmp_path, f"alert: A\nabsence: {{{condition}}}")


def test_only_guardrails_are_no_calls(tmp_path):
    blocks = {pane: vitals(calls=0, guardrail_blocks=1) for pane in every(3 * HOUR, 5 * HOUR)}
    times, _ = heard(tmp_path, every(0, 3 * HOUR) | blocks, 5 * HOUR)
    assert [how for how, _ in times] == ["firing"]


@settings(max_examples=10)
@given(
    st.lists(st.integers(0, 100), max_size=8),
    st.sets(st.integers(0, 40 * 24)),
    st.booleans(),
    st.sampled_from(["", ", expect: always"]),
)
def test_any_batching_gives_the_same_alerts(tmp_path_factory, spans, cuts, packed, expect):
    """spans: lengths of traffic and silence in turns, in hours."""
    folder = tmp_path_factory.mktemp("rules")
    panes, at = {}, 0
    for number, hours in enumerate(spans):
        if number % 2 == 0:
            panes |= every(at, at + hours * HOUR)
        at += hours * HOUR
    whole = heard(folder, panes, 40 * DAY, expect)
    cuts = {(MONDAY + cut * HOUR) // PANE for cut in cuts}
    assert heard(folder, panes, 40 * DAY, expect, cuts=cuts, packed=packed) == whole
