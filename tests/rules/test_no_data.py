"""Too few calls to say: the four ways that a rule may take them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panes import PANE, rule_engine, transitions, vitals, walk

FIRST = 1_700_000_000_000_000 // PANE // 6 * 6
DAY = 24 * 3600 // 10
"""Panes of a day."""
BAD, GOOD, FEW = vitals(calls=10, errors=9), vitals(calls=10), vitals(calls=2)
RULE = """
alert: Fails
threshold: {metric: error_share, above: 50%, window: 10s, min_calls: 5}
annotations: {summary: "{value} of the calls fail", runbook_url: "https://wiki.example/fails"}
no_data: """


def heard(folder, mode: str, contents, end: int = 0):
    end = end or len(contents)
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    return walk(rule_engine(folder, RULE + mode), panes, FIRST + end)


def life(folder, mode: str, contents, end: int = 0):
    return [
        (status, level, pane - FIRST)
        for status, level, pane in transitions(heard(folder, mode, contents, end))
    ]


def test_ok_lets_a_firing_alert_end_and_is_silent_otherwise(tmp_path):
    assert life(tmp_path, "ok", [BAD, None]) == [("firing", "", 0), ("resolved", "", 1)]
    assert life(tmp_path, "ok", [GOOD]) == []


def test_keep_lets_it_stay_for_a_day(tmp_path):
    assert life(tmp_path, "keep", [BAD], DAY) == [("firing", "", 0)]
    assert life(tmp_path, "keep", [GOOD], 2 * DAY) == []
    _, over = heard(tmp_path, "keep", [BAD], 2 * DAY)
    assert over.at // PANE - 1 == FIRST + 1 + DAY
    assert over.reason == "too few calls for a day; no longer waiting"


def test_alert_takes_them_for_a_breach(tmp_path):
    assert life(tmp_path, "alert", [GOOD, None, FEW, GOOD]) == [
        ("firing", "no data", 1), ("resolved", "no data", 3),
    ]  # fmt: skip
    assert life(tmp_path, "alert\nfor: 20s", [GOOD, None, None, GOOD]) == []
    assert life(tmp_path, "alert\nfor: 20s", [GOOD, None, None, None, GOOD]) == [
        ("firing", "no data", 3), ("resolved", "no data", 4),
    ]  # fmt: skip


def test_alert_goes_on_with_the_alert_that_is_firing(tmp_path):
    found = heard(tmp_path, "alert", [BAD, None, BAD, GOOD])
    assert [(alert.status, alert.level) for alert in found] == [
        ("firing", ""), ("firing", "no data"), ("firing", ""), ("resolved", ""),
    ]  # fmt: skip
    assert len({alert.episode for alert in found}) == 1
    assert [alert.metric for alert in found] == ["error_share", "calls", "error_share", "error_share"]
    assert found[2].summary == "90 % of the calls fail"


def test_no_data_is_told_as_an_alert_of_its_own(tmp_path):
    found = heard(tmp_path, "no_data", [BAD, FEW, BAD, GOOD])
    assert [(alert.status, alert.level) for alert in found] == [
        ("firing", ""), ("resolved", ""), ("firing", "no data"),
        ("firing", ""), ("resolved", "no data"), ("resolved", ""),
    ]  # fmt: skip
    first, _, gone, again, back, over = found
    assert gone.episode == back.episode
    assert first.episode == found[1].episode
    assert again.episode == over.episode
    assert len({alert.episode for alert in found}) == 3
    assert (gone.metric, gone.unit, gone.value, gone.limit) == ("calls", "count", 2, 5)
    assert gone.summary == "Fails has too few calls: 2 within 10s, 5 are needed: all calls"
    assert (back.summary, back.reason) == (gone.summary, "there are enough calls again")
    assert gone.annotations == {"summary": gone.summary, "runbook_url": "https://wiki.example/fails"}


def test_the_end_of_no_data_needs_no_keep_firing_for(tmp_path):
    waits = "no_data\nfor: 20s\nkeep_firing_for: 30s"
    assert life(tmp_path, waits, [GOOD, None, None, None, GOOD, GOOD]) == [
        ("firing", "no data", 3), ("resolved", "no data", 4),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["alert", "no_data"])
def test_one_that_is_gone_for_a_day_is_forgotten(tmp_path, mode):
    _, over = heard(tmp_path, mode, [GOOD], 3 * DAY)
    assert over.status == "resolved"
    assert over.at // PANE - 1 == FIRST + 1 + DAY
    assert over.reason == "too few calls for a day; no longer waiting"
    watched = rule_engine(tmp_path, RULE + mode)
    state: dict = {}
    watched.advance("all", (), state, floor=FIRST + 3 * DAY, closed=[(FIRST, GOOD)])
    assert state == {}


@pytest.mark.parametrize("mode", ["ok", "keep", "alert", "no_data"])
def test_little_traffic_never_pages(tmp_path, mode):
    assert life(tmp_path, mode, [FEW, None, FEW, FEW], 2 * DAY) == []


def test_another_mode_ends_what_the_old_one_said(tmp_path):
    state: dict = {}
    watched = rule_engine(tmp_path, RULE + "no_data")
    (gone,) = watched.advance("all", (), state, floor=FIRST + 2, closed=[(FIRST, GOOD)])
    watched = rule_engine(tmp_path, RULE + "ok")
    (over,) = watched.advance("all", (), state, floor=FIRST + 3)
    assert (gone.status, over.status, over.episode) == ("firing", "resolved", gone.episode)
    assert over.reason == "the rule was changed"


def test_a_memory_from_before_there_were_modes_goes_on(tmp_path):
    state: dict = {}
    watched = rule_engine(tmp_path, RULE + "keep")
    watched.advance("all", (), state, floor=FIRST + 1, closed=[(FIRST, BAD)])
    del state["rules"]["Fails"]["gap"]
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    (over,) = watched.advance("all", (), state, floor=FIRST + 2, closed=[(FIRST + 1, GOOD)])
    assert over.status == "resolved"


@given(
    st.lists(st.sampled_from([None, BAD, GOOD, FEW]), max_size=12),
    st.sets(st.integers(0, 30)),
    st.booleans(),
    st.sampled_from(["ok", "keep", "alert", "no_data"]),
    st.sampled_from(["", "\nfor: 20s", "\nfor: 20s\nkeep_firing_for: 20s"]),
)
def test_any_batching_gives_the_same_alerts(tmp_path_factory, contents, cuts, packed, mode, lasting):
    watched = rule_engine(tmp_path_factory.mktemp("rules"), RULE + mode + lasting)
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    whole = walk(watched, panes, FIRST + 30)
    cuts = {FIRST + cut for cut in cuts}
    assert walk(watched, panes, FIRST + 30, cuts=cuts, packed=packed, ticks=True) == whole
    firing = {alert.episode for alert in whole if alert.status == "firing"}
    assert {alert.episode for alert in whole if alert.status == "resolved"} <= firing
