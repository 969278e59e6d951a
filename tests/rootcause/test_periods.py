"""An alert's cause is told against the time before the alert, however long it lasts, and by what little there is."""

from __future__ import annotations

import re
from functools import cache

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.record.reading import Reading
from llmvitals.record.vitals import Vitals
from llmvitals.rootcause import periods
from llmvitals.rootcause.cause import Question, cause_of
from llmvitals.rootcause.recent import RecentContributors
from panes import MINUTE, PANE, rule_engine, vitals, walk

FIRST = 1_700_006_400_000_000 // PANE
HOUR = 60 * MINUTE
RECENT = RecentContributors(PANE)
CHANGE = 2 * HOUR
BUDGET = "alert: A\nbudget: {{limit: {limit}, per: month, thresholds: [{thresholds}]{more}}}"


@cache
def minute(*, dear: bool = False, calls: int = 20, user: str = "u-17") -> Vitals:
    """Calls, 20 in a usual minute: $0.20 of 20,000 tokens; of ten times as many when the prompts are long."""
    tokens = 10_000 if dear else 1_000
    cost = calls * tokens / 10**5
    share = (calls, round(cost * 1e9), calls * tokens)
    names = {"user": {user: share}, "prompt": {f"answer@v{8 if dear else 7}": share}, "model": {"m": share}}
    return vitals(cost=cost, tokens=(tokens,) * calls, names=names)


def traffic(hours: float, change: int = CHANGE) -> dict[int, Vitals]:
    """Four calls in each other pane, with long prompts from a pane on."""
    return {FIRST + pane: minute(dear=pane >= change, calls=4) for pane in range(0, round(hours * HOUR), 2)}


def state_at(panes: dict[int, Vitals], end: int) -> dict:
    state: dict = {}
    for number in sorted(panes):
        if number < end:
            RECENT.add(state, number, panes[number])
    return state


def test_the_period_before_stays_before_the_alert_for_hours():
    panes, since = traffic(9), (FIRST + CHANGE + 5 * MINUTE) * PANE
    alert = {"since": since, "level": ""}
    seen = []
    for end in range(FIRST + CHANGE + 5 * MINUTE, FIRST + 9 * HOUR, 7 * MINUTE):
        before, now = RECENT.periods(state_at(panes, end), end * PANE, alert)
        alert = msgspec.msgpack.decode(msgspec.msgpack.encode(alert))
        assert before.end <= since
        assert before.end <= now.end - now.length
        assert now.total[2] / now.total[0] == 10_000
        seen.append(before.total)
    assert set(map(tuple, seen)) == {tuple(seen[0])}
    assert len(msgspec.msgpack.encode(alert)) < 1_000


def test_a_later_level_is_compared_with_the_hours_before_itself():
    panes = traffic(24, 20 * HOUR)
    alert = {"since": (FIRST + HOUR) * PANE, "level": "50%"}
    RECENT.periods(state_at(panes, FIRST + HOUR), (FIRST + HOUR) * PANE, alert)
    for minutes, level in ((4, "80%"), (60, "95%"), (100, "95%")):
        end = FIRST + 20 * HOUR + minutes * MINUTE
        before, now = RECENT.periods(state_at(panes, end), end * PANE, alert | {"level": level})
        if level == "80%":
            alert["level"] = level
            RECENT.periods(state_at(panes, end), end * PANE, alert)
        assert (FIRST + 19 * HOUR) * PANE < before.end <= (FIRST + 20 * HOUR + 4 * MINUTE) * PANE
        assert now.total[2] / now.total[0] > 5_000


def test_a_level_within_the_incident_keeps_the_time_before_for_good():
    panes, alert = traffic(17), {"since": (FIRST + CHANGE + 5 * MINUTE) * PANE, "level": "50%"}
    ends = []
    for minutes, level in ((5, "50%"), (60, "80%"), (200, "80%"), (14 * 60, "80%")):
        end = FIRST + CHANGE + minutes * MINUTE
        alert["level"] = level
        before, _ = RECENT.periods(state_at(panes, end), end * PANE, alert)
        ends.append(before.end)
    assert len(set(ends)) == 1


@settings(max_examples=40)
@given(st.integers(1, 400), st.integers(0, 400), st.sampled_from([1, 3, 20]))
def test_before_and_now_never_overlap(since, later, step):
    panes = {FIRST + pane: minute(calls=3) for pane in range(0, (since + later) * MINUTE, step * MINUTE)}
    begin, end = FIRST + since * MINUTE, FIRST + (since + later) * MINUTE
    alert = {"since": begin * PANE, "level": ""}
    RECENT.periods(state_at(panes, begin), begin * PANE, alert)
    found = RECENT.periods(state_at(panes, end), end * PANE, alert)
    if found:
        assert found[0].end <= found[1].end - found[1].length
        assert found[0].end <= begin * PANE


def test_an_alert_of_an_older_version_is_compared_with_what_is_known_before_it():
    panes = traffic(2.5)
    state = state_at(panes, FIRST + round(2.5 * HOUR))
    state["past"] = msgspec.msgpack.encode(msgspec.msgpack.decode(state["past"])[:5])
    since = (FIRST + CHANGE + 2 * MINUTE) * PANE
    before, now = RECENT.periods(state, (FIRST + round(2.5 * HOUR)) * PANE, {"since": since, "level": ""})
    assert before.end <= since
    assert now.total[2] / now.total[0] == 10_000
    RECENT.add(state, FIRST + 3 * HOUR, minute())
    assert len(periods.unpack(state["past"])) == 2 * len(periods.SCALES) - 1


def test_every_level_of_a_long_incident_is_told_by_what_it_was_before(tmp_path):
    # $7.20 an hour, then $72: the levels are passed 14 minutes, 3.4 and 8.4 hours after the change.
    rule = BUDGET.format(limit=1_000, thresholds="3.2%, 26%, 62%", more="")
    found = walk(rule_engine(tmp_path, rule), traffic(11), FIRST + 11 * HOUR)
    assert [alert.level for alert in found] == ["3.2%", "26%", "62%"]
    assert all(re.search(r": (9[5-9]|100) % from longer prompts in answer@v8", each.cause) for each in found)
    assert " against the 2 h before the alert: " in found[1].cause


def test_a_burn_rate_is_told_by_the_rate_before_even_if_that_is_hours_ago(tmp_path):
    rule = BUDGET.format(
        limit=5_000, thresholds="99%", more=", burn_rate: [{factor: 5, windows: [6h, 30m]}], floor: 1"
    )
    found = walk(rule_engine(tmp_path, rule), traffic(36, 30 * HOUR), FIRST + 36 * HOUR)
    assert [(alert.facet, alert.status) for alert in found] == [("burn", "firing")]
    assert found[0].at > (FIRST + 33 * HOUR) * PANE
    assert found[0].cause.startswith("+$")
    assert re.search(r" h before: (9[5-9]|100) % from longer prompts in answer@v8", found[0].cause)


def test_a_forecast_is_told_by_the_rate_before(tmp_path):
    rule = BUDGET.format(limit=6_000, thresholds="99%", more=", forecast: 80%")
    found = walk(rule_engine(tmp_path, rule), traffic(80, 30 * HOUR), FIRST + 80 * HOUR)
    assert [(alert.facet, alert.status) for alert in found][:1] == [("forecast", "firing")]
    assert found[0].at > (FIRST + 33 * HOUR) * PANE
    assert re.search(r" h before: (9[5-9]|100) % from longer prompts in answer@v8", found[0].cause)


def test_a_burn_rate_that_was_ever_so_has_no_line(tmp_path):
    rule = BUDGET.format(
        limit=500, thresholds="99%", more=", burn_rate: [{factor: 10, windows: [6h, 30m]}], floor: 1"
    )
    found = walk(rule_engine(tmp_path, rule), traffic(8, 30 * HOUR), FIRST + 8 * HOUR)
    assert [(alert.facet, alert.cause) for alert in found] == [("burn", "")]


def test_half_a_minute_after_the_first_call_it_says_who_has_most(tmp_path):
    panes = {
        FIRST + 1: minute(calls=1, user="u-3"),
        FIRST + 2: minute(calls=10, dear=True),
        FIRST + 3: minute(calls=9, dear=True),
    }
    rule = "alert: A\nbudget: {limit: 1.5, per: hour, thresholds: [100%]}"
    found = walk(rule_engine(tmp_path, rule), panes, FIRST + 4)
    assert [alert.cause for alert in found] == ["in the last 30 s: 99 % of the cost is user u-17"]


def test_nobody_is_named_who_has_less_than_most(tmp_path):
    share = (1, 300_000_000, 10)
    panes = {FIRST: vitals(cost=3, names={"user": {f"u-{n}": share for n in range(5)}})}
    rule = "alert: A\nbudget: {limit: 1.5, per: hour, thresholds: [100%]}"
    found = walk(rule_engine(tmp_path, rule), panes, FIRST + 1)
    assert [alert.cause for alert in found] == [""]


def test_the_line_remains_while_the_alert_does_though_the_rate_is_back(tmp_path):
    panes = traffic(4) | {FIRST + pane: minute(calls=4) for pane in range(CHANGE + 20 * MINUTE, 4 * HOUR, 2)}
    rule = BUDGET.format(limit=100, thresholds="30%, 42%", more="")
    found = walk(rule_engine(tmp_path, rule), panes, FIRST + 4 * HOUR)
    assert [alert.level for alert in found] == ["30%", "42%"]
    for alert in found:
        assert re.search(r": (9[5-9]|100) % from longer prompts in answer@v8", alert.cause)


def test_a_line_that_is_made_again_each_ten_minutes_tells_the_same_cause():
    panes, since = traffic(7), (FIRST + CHANGE + 5 * MINUTE) * PANE
    alert, lines = {"since": since, "level": ""}, []
    for end in range(FIRST + CHANGE + 5 * MINUTE, FIRST + 7 * HOUR, 10 * MINUTE):
        question = Question("cost_per_hour", "usd", Reading(end * PANE, "breach", 72, 50), lambda _: None)
        lines.append(cause_of(question, RECENT, state_at(panes, end), alert))
    assert re.fullmatch(r"\+\$\d\d\.\d\d an hour against the 2 h before: .*", lines[0])
    for line in lines[1:]:
        assert re.fullmatch(
            r"\+\$6\d\.\d\d an hour against the 2 h before the alert: (9\d|100) % from longer prompts in answer@v8",
            line,
        )
