"""Budgets: exact money in the budget's own time, each threshold once a period."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine
from panes import MINUTE, PANE, SECOND, alerts, rule_engine, transitions, vitals, walk

HOUR = 60 * MINUTE
BERLIN = "Europe/Berlin"


def pane(text: str, zone: str = BERLIN) -> int:
    """The pane that begins at a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND // PANE


NOON, MIDNIGHT = pane("2025-06-01T12:00"), pane("2025-06-02T00:00")


@pytest.fixture
def daily(tmp_path):
    return rule_engine(tmp_path, f"alert: Daily\nbudget: {{limit: 10, per: day, timezone: {BERLIN}}}")


def test_each_threshold_fires_once_in_order_and_resolves_with_the_day(daily):
    alerts = walk(daily, {NOON + number: vitals(cost=1) for number in range(14)}, MIDNIGHT)
    # The tenth dollar passes 95 % and 100 % at once: the highest is said.
    assert transitions(alerts) == [
        ("firing", "50%", NOON + 4),
        ("firing", "80%", NOON + 7),
        ("firing", "100%", NOON + 9),
        ("resolved", "100%", MIDNIGHT - 1),
    ]
    assert [alert.value for alert in alerts] == [5, 8, 10, 14]
    assert {(alert.limit, alert.unit, alert.window) for alert in alerts} == {(10, "usd", "day")}
    assert len({alert.episode for alert in alerts}) == 1
    assert {alert.since for alert in alerts} == {(NOON + 5) * PANE}
    assert [alert.until for alert in alerts] == [None, None, None, MIDNIGHT * PANE]


def test_a_jump_over_all_thresholds_is_one_alert(daily):
    assert transitions(walk(daily, {NOON: vitals(cost=25)}, NOON + 100)) == [("firing", "100%", NOON)]


def test_a_nano_dollar_short_of_a_threshold_is_silent(daily):
    assert walk(daily, {NOON: vitals(cost_nano=4_999_999_999)}, NOON + 1) == []
    assert transitions(walk(daily, {NOON: vitals(cost_nano=5_000_000_000)}, NOON + 1)) == [
        ("firing", "50%", NOON)
    ]


def test_the_next_day_begins_at_nothing_and_is_another_episode(daily):
    alerts = walk(daily, {MIDNIGHT - 1: vitals(cost=5), MIDNIGHT: vitals(cost=4.9)}, MIDNIGHT + 9)
    assert transitions(alerts) == [("firing", "50%", MIDNIGHT - 1), ("resolved", "50%", MIDNIGHT - 1)]
    assert alerts[0].at < alerts[1].at, "the later change is the newer one"
    alerts = walk(daily, {MIDNIGHT - 1: vitals(cost=5), MIDNIGHT: vitals(cost=5)}, MIDNIGHT + 9)
    assert [status for status, _, _ in transitions(alerts)] == ["firing", "resolved", "firing"]
    assert alerts[0].episode == alerts[1].episode != alerts[2].episode
    assert alerts[0].fingerprint == alerts[2].fingerprint


@pytest.mark.parametrize(
    ("per", "inside", "last", "after"),
    [
        ("hour", "2025-06-01T12:00", "2025-06-01T12:59:50", "2025-06-01T13:00"),
        ("day", "2025-03-30T00:00", "2025-03-30T23:59:50", "2025-03-31T00:00"),  # 23 hours
        ("day", "2025-10-26T00:00", "2025-10-26T23:59:50", "2025-10-27T00:00"),  # 25 hours
        ("week", "2025-06-02T00:00", "2025-06-08T23:59:50", "2025-06-09T00:00"),  # Monday to Sunday
        ("month", "2024-02-01T00:00", "2024-02-29T23:59:50", "2024-03-01T00:00"),
        ("month", "2025-12-01T00:00", "2025-12-31T23:59:50", "2026-01-01T00:00"),
        ("quarter", "2025-04-01T00:00", "2025-06-30T23:59:50", "2025-07-01T00:00"),
        ("year", "2025-01-01T00:00", "2025-12-31T23:59:50", "2026-01-01T00:00"),
    ],
)
@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Asia/Kathmandu"])
def test_a_period_is_that_of_the_wall_clock(tmp_path, per, inside, last, after, zone):
    if "-30T" in inside and zone != BERLIN:
        return
    rule = rule_engine(
        tmp_path, f"alert: A\nbudget: {{limit: 10, per: {per}, timezone: {zone}, thresholds: [100%]}}"
    )
    first, last, after = pane(inside, zone), pane(last, zone), pane(after, zone)
    assert transitions(walk(rule, {first: vitals(cost=5), last: vitals(cost=5)}, after)) == [
        ("firing", "100%", last),
        ("resolved", "100%", last),
    ]
    assert walk(rule, {last: vitals(cost=5), after: vitals(cost=5)}, after + 1) == []
    assert walk(rule, {first - 1: vitals(cost=5), first: vitals(cost=5)}, first + 1) == []


def test_the_hour_that_autumn_repeats_is_two(tmp_path):
    rule = rule_engine(
        tmp_path, f"alert: A\nbudget: {{limit: 10, per: hour, timezone: {BERLIN}, thresholds: [100%]}}"
    )
    second = pane("2025-10-26T01:00", "UTC")  # 02:00 in Berlin for the second time
    assert walk(rule, {second - 1: vitals(cost=6), second: vitals(cost=6)}, second + 1) == []


def test_one_budget_for_each_value_and_another_limit_for_some(tmp_path):
    rule = rule_engine(
        tmp_path,
        """
        alert: Team
        budget: {limit: 10, per: day, by: [team], overrides: {search: 100}, thresholds: [100%]}
        annotations: {summary: "{team} has used {percent} of {limit}"}
        """,
    )
    (alert,) = walk(rule, {NOON: vitals(cost=20)}, NOON + 1, series=("support",))
    assert (alert.summary, alert.labels) == ("support has used 200 % of $10", {"team": "support"})
    assert walk(rule, {NOON: vitals(cost=20)}, NOON + 1, series=("search",)) == []
    (alert,) = walk(rule, {NOON: vitals(cost=100)}, NOON + 1, series=("search",))
    assert (alert.value, alert.limit) == (100, 100)


def test_an_override_of_several_dimensions_is_written_in_the_order_of_by(tmp_path):
    rule = rule_engine(
        tmp_path,
        "alert: A\nbudget: {limit: 10, per: day, by: [model, app], overrides: {openai/gpt-5/chat: 3}}",
    )
    (view,) = rule.views
    assert view.by == ("app", "model")
    (alert,) = walk(rule, {NOON: vitals(cost=4)}, NOON + 1, series=("chat", "openai/gpt-5"))
    assert alert.limit == 3


@pytest.mark.parametrize(
    ("metric", "limit", "spent", "unit"),
    [
        ("tokens", 100, {"tokens": (40, 30), "output_tokens": 30}, "tokens"),
        ("calls", 3, {"calls": 3}, "count"),
        ("cost", 0.1, {"cost_nano": 100_000_000}, "usd"),
    ],
)
def test_tokens_calls_and_money_can_be_budgeted(tmp_path, metric, limit, spent, unit):
    rule = rule_engine(
        tmp_path, f"alert: A\nbudget: {{metric: {metric}, limit: {limit}, per: day, thresholds: [100%]}}"
    )
    (alert,) = walk(rule, {NOON: vitals(**spent)}, NOON + 1)
    assert (alert.metric, alert.unit, alert.value, alert.limit) == (metric, unit, limit, limit)


def advance(rule: RuleEngine, state: dict, floor: int, closed=(), opened=()):
    said = rule.advance(rule.views[0].name, (), state, floor=floor, closed=closed, opened=opened)
    return transitions(alerts(said))


def test_a_breach_is_seen_in_open_panes_and_not_said_again_when_they_close(daily):
    state: dict = {}
    assert advance(daily, state, NOON, opened=[(NOON, vitals(cost=4))]) == []
    assert advance(daily, state, NOON, opened=[(NOON, vitals(cost=6)), (NOON + 1, vitals(cost=1))]) == [
        ("firing", "50%", NOON)
    ]
    assert advance(daily, state, NOON, opened=[(NOON, vitals(cost=7)), (NOON + 1, vitals(cost=3))]) == [
        ("firing", "100%", NOON + 1)
    ]
    assert advance(daily, state, NOON + 2, closed=[(NOON, vitals(cost=7)), (NOON + 1, vitals(cost=3))]) == []
    assert advance(daily, state, MIDNIGHT) == [("resolved", "100%", MIDNIGHT - 1)]
    assert advance(daily, state, MIDNIGHT + MINUTE) == []
    assert state != {}, "kept for a day, for late calls"
    assert advance(daily, state, MIDNIGHT + 24 * HOUR) == []
    assert state == {}


def test_thresholds_seen_in_one_open_pane_have_ascending_times(daily):
    state: dict = {}
    times = [
        alert.at
        for cost in (5, 8, 10)
        for alert in alerts(daily.advance("all", (), state, floor=NOON, opened=[(NOON, vitals(cost=cost))]))
    ]
    assert times == [(NOON + 1) * PANE + late for late in range(3)]


def test_around_midnight_both_days_count_by_themselves(daily):
    state: dict = {}
    old, new = (MIDNIGHT - 1, vitals(cost=8)), (MIDNIGHT, vitals(cost=9.5))
    assert advance(daily, state, MIDNIGHT - 1, opened=[old, new]) == [
        ("firing", "80%", MIDNIGHT - 1),
        ("firing", "95%", MIDNIGHT),
    ]
    assert advance(daily, state, MIDNIGHT, [old], [new]) == [("resolved", "80%", MIDNIGHT - 1)]
    assert advance(daily, state, MIDNIGHT + 1, [new]) == []


def test_a_raised_limit_ends_the_episode_and_keeps_what_was_spent(tmp_path):
    state: dict = {}
    rule = "alert: A\nbudget: {{limit: {limit}, per: day, timezone: Europe/Berlin, thresholds: [50%, 100%]}}"
    assert advance(
        rule_engine(tmp_path, rule.format(limit=10)), state, NOON + 1, [(NOON, vitals(cost=10))]
    ) == [("firing", "100%", NOON)]
    raised = rule_engine(tmp_path, rule.format(limit=40))
    assert advance(raised, state, NOON + 2, [(NOON + 1, vitals(cost=1))]) == [("resolved", "100%", NOON + 1)]
    (alert,) = alerts(raised.advance("all", (), state, floor=NOON + 3, closed=[(NOON + 2, vitals(cost=9))]))
    assert (alert.level, alert.value, alert.limit) == ("50%", 20, 40)


@pytest.fixture
def rolling(tmp_path):
    return rule_engine(tmp_path, "alert: Runaway\nbudget: {limit: 10, rolling: 10m, thresholds: [50%, 100%]}")


def test_a_rolling_budget_fires_on_the_last_minutes_and_is_released_below_95_per_cent_of_the_lowest(rolling):
    panes = {NOON: vitals(cost=6), NOON + MINUTE: vitals(cost=4.8)}
    alerts = walk(rolling, panes, NOON + HOUR)
    assert transitions(alerts) == [
        ("firing", "50%", NOON),
        ("firing", "100%", NOON + MINUTE),
        # After 10 min the first 6 dollars leave: 4.8 is above 4.75; a minute later nothing is left.
        ("resolved", "100%", NOON + 11 * MINUTE),
    ]
    assert [alert.value for alert in alerts] == [6, 10.8, 0]
    assert {alert.window for alert in alerts} == {"10m"}
    panes = {NOON: vitals(cost=6), NOON + MINUTE: vitals(cost=4.7)}
    assert transitions(walk(rolling, panes, NOON + HOUR))[-1] == ("resolved", "100%", NOON + 10 * MINUTE)


def test_a_rolling_budget_does_not_add_what_is_older(rolling):
    panes = {NOON: vitals(cost=4), NOON + 10 * MINUTE: vitals(cost=4)}
    assert walk(rolling, panes, NOON + HOUR) == []
    panes = {NOON: vitals(cost=4), NOON + 10 * MINUTE - 1: vitals(cost=4)}
    assert transitions(walk(rolling, panes, NOON + HOUR))[0] == ("firing", "50%", NOON + 10 * MINUTE - 1)


def test_a_rolling_budget_sees_open_panes(rolling):
    state: dict = {}
    assert advance(rolling, state, NOON + 1, [(NOON, vitals(cost=4))], [(NOON + 1, vitals(cost=2))]) == [
        ("firing", "50%", NOON + 1)
    ]
    assert advance(rolling, state, NOON + 2, [(NOON + 1, vitals(cost=2))]) == []
    assert advance(rolling, state, NOON + 10 * MINUTE, opened=[(NOON + 10 * MINUTE, vitals(cost=4))]) == []


def test_what_an_open_pane_told_is_not_released_by_an_earlier_one(rolling):
    state: dict = {}
    first, second = (NOON, vitals(cost=1)), (NOON + 1, vitals(cost=5))
    assert advance(rolling, state, NOON, opened=[first, second]) == [("firing", "50%", NOON + 1)]
    assert advance(rolling, state, NOON + 1, [first], [second]) == []
    assert advance(rolling, state, NOON + 2, [second]) == []


def test_a_window_longer_than_288_panes_is_made_of_coarser_buckets(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, rolling: 24h, thresholds: [100%]}")
    start = NOON // (5 * MINUTE) * 5 * MINUTE
    alerts = walk(rule, {start: vitals(cost=5), start + 24 * HOUR - 1: vitals(cost=5)}, start + 72 * HOUR)
    assert transitions(alerts) == [
        ("firing", "100%", start + 24 * HOUR - 1),
        ("resolved", "100%", start + 24 * HOUR),
    ]


def test_a_session_that_is_over_leaves_nothing_behind(tmp_path):
    rule = rule_engine(tmp_path, "alert: Runaway\nbudget: {limit: 10, rolling: 10m, by: [session]}")
    view, state = rule.views[0].name, {}
    assert rule.advance(view, ("s1",), state, floor=NOON + 1, closed=[(NOON, vitals(cost=1))]) == []
    assert state
    assert rule.due(state) == NOON + 10 * MINUTE + 1
    assert rule.advance(view, ("s1",), state, floor=NOON + 10 * MINUTE + 1) == []
    assert state == {}


def test_what_is_over_the_limit_of_series_is_nobodys_budget(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 1, per: day, by: [team]}")
    assert walk(rule, {NOON: vitals(cost=20)}, NOON + 1, series=("_other",)) == []


COSTS = st.dictionaries(st.integers(0, 40 * MINUTE), st.integers(0, 3_000_000_000), max_size=40)


@given(COSTS, st.sampled_from(["per: hour", "rolling: 10m"]))
def test_what_fires_is_what_a_naive_sum_says(tmp_path_factory, costs, length):
    rule = rule_engine(
        tmp_path_factory.mktemp("rules"),
        f"alert: A\nbudget: {{limit: 10, {length}, thresholds: [50%, 100%]}}",
    )
    start = pane("2025-06-01T11:40", "UTC")
    panes: dict[int, Vitals] = {start + at: vitals(cost_nano=nano) for at, nano in costs.items()}
    expected, fired, hour = [], 0, 0
    for now in range(start, start + 80 * MINUTE):
        low = now // HOUR * HOUR if "hour" in length else now - 10 * MINUTE + 1
        spent = sum(nano for at, nano in costs.items() if low <= start + at <= now)
        if fired and ((now // HOUR > hour) if "hour" in length else spent < 4_750_000_000):
            expected.append(("resolved", f"{fired}%", now - 1 if "hour" in length else now))
            fired = 0
        reached = 100 if spent >= 10_000_000_000 else 50 if spent >= 5_000_000_000 else 0
        if reached > fired:
            expected.append(("firing", f"{reached}%", now))
            fired = reached
        hour = now // HOUR
    if "hour" in length:
        expected += [("resolved", f"{fired}%", (hour + 1) * HOUR - 1)] if fired else []
    assert transitions(walk(rule, panes, start + 3 * HOUR)) == expected
