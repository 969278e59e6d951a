"""How a budget stands, minute by minute: exact, once, and in the minute that it is true for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.metrics.columns import COUNTS, MEASURES
from llmvitals.record.point import Point
from panes import MINUTE, PANE, SECOND, alerts, points, rule_engine, rule_outputs, vitals

HOUR = 60 * MINUTE
NOON = int(datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()) * SECOND // PANE
DAILY = "alert: Daily\nbudget: {limit: 10, per: day, thresholds: [50%, 100%]}"


def stands(found: list[Point]) -> list[tuple[int, float]]:
    """(minute after noon, dollars) of each."""
    return [(minute(point), point.measures["spent_usd"]) for point in found]


def minute(point: Point) -> int:
    assert point.start % (60 * SECOND) == 0
    return (point.start // PANE - NOON) // MINUTE


def kept(found: list[Point]) -> dict[tuple[str, int], Point]:
    """What a store holds: of each rule and minute the greatest `upto`, of equal ones the last."""
    held: dict[tuple[str, int], Point] = {}
    for point in found:
        place = point.tags["rule"], point.start
        if place not in held or point.upto >= held[place].upto:
            held[place] = point
    return held


def test_a_minute_with_calls_is_told_once_when_it_is_over(tmp_path):
    rule = rule_engine(tmp_path, DAILY)
    panes = {NOON: vitals(cost=1), NOON + 3: vitals(cost=0.5), NOON + 3 * MINUTE + 5: vitals(cost=0.25)}
    assert points(rule_outputs(rule, panes, NOON + MINUTE - 1)) == []
    assert stands(points(rule_outputs(rule, panes, NOON + MINUTE))) == [(0, 1.5)]
    assert stands(points(rule_outputs(rule, panes, NOON + HOUR))) == [(0, 1.5), (3, 1.75)]


def test_a_point_says_which_budget_and_how_much_of_it_is_used(tmp_path):
    rule = rule_engine(
        tmp_path, "alert: Team\nbudget: {limit: 0.1, per: month, by: [team], thresholds: [500%]}"
    )
    (point,) = points(
        rule_outputs(rule, {NOON: vitals(cost_nano=300_000_000)}, NOON + MINUTE, series=("search",))
    )
    assert point.measurement == "llm_budget"
    assert point.tags == {"view": "team", "window": "month", "rule": "Team", "team": "search"}
    assert point.measures == {"spent_usd": 0.3, "limit_usd": 0.1, "share": 0.3 / 0.1, "overshoot_usd": 0.2}
    assert point.counts == {}
    assert set(point.measures) <= set(MEASURES["llm_budget"])


@pytest.mark.parametrize(("metric", "spent"), [("tokens", {"tokens": (70,)}), ("calls", {"calls": 70})])
def test_a_token_is_no_dollar(tmp_path, metric, spent):
    rule = rule_engine(
        tmp_path, f"alert: A\nbudget: {{metric: {metric}, limit: 280, rolling: 24h, thresholds: [100%]}}"
    )
    (point,) = points(rule_outputs(rule, {NOON: vitals(**spent)}, NOON + MINUTE))
    assert (point.counts, point.measures) == (
        {f"spent_{metric}": 70, f"limit_{metric}": 280},
        {"share": 0.25},
    )
    assert point.counts.keys() <= set(COUNTS["llm_budget"])


def test_a_threshold_is_told_at_once_and_the_minute_again_when_it_is_over(tmp_path):
    rule, state = rule_engine(tmp_path, DAILY), {}

    def step(floor, closed=(), opened=()):
        return points(rule.advance("all", (), state, floor=NOON + floor, closed=closed, opened=opened))

    assert step(0, opened=[(NOON, vitals(cost=4))]) == []
    early = step(0, opened=[(NOON, vitals(cost=6))])
    assert stands(early) == [(0, 6)]
    assert step(0, opened=[(NOON, vitals(cost=7))]) == []
    assert step(1, closed=[(NOON, vitals(cost=7))]) == []
    late = step(MINUTE)
    assert stands(late) == [(0, 7)]
    assert early[0].upto == NOON < late[0].upto == NOON + MINUTE


def test_a_new_day_begins_at_nothing_and_then_the_series_is_forgotten(tmp_path):
    rule = rule_engine(tmp_path, DAILY)
    midnight = NOON + 12 * HOUR
    found = points(rule_outputs(rule, {NOON: vitals(cost=2)}, midnight + 48 * HOUR))
    assert stands(found) == [(0, 2), (12 * 60, 0)]


def test_around_midnight_each_minute_is_of_its_own_day(tmp_path):
    rule = rule_engine(tmp_path, DAILY)
    midnight = NOON + 12 * HOUR
    panes = {midnight - 1: vitals(cost=2), midnight: vitals(cost=3)}
    assert stands(points(rule_outputs(rule, panes, midnight + MINUTE))) == [(719, 2), (720, 3)]


def test_a_rolling_budget_is_told_again_when_it_lets_go(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, rolling: 5m, thresholds: [100%]}")
    panes = {NOON: vitals(cost=1), NOON + 2 * MINUTE: vitals(cost=2)}
    assert stands(points(rule_outputs(rule, panes, NOON + HOUR))) == [(0, 1), (2, 3), (5, 2), (7, 0)]


@pytest.mark.parametrize("name", ["session", "user"])
def test_budgets_of_what_there_is_ever_more_of_give_no_points(tmp_path, name):
    rule = rule_engine(tmp_path, f"alert: A\nbudget: {{limit: 1, rolling: 5m, by: [{name}]}}")
    heard = rule_outputs(rule, {NOON: vitals(cost=2)}, NOON + HOUR, series=("x",))
    assert len(heard) == 2
    assert points(heard) == []


def test_a_threshold_rule_gives_no_points(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nthreshold: {metric: cost, above: 1}")
    assert points(rule_outputs(rule, {NOON: vitals(cost=2)}, NOON + HOUR)) == []


COSTS = st.dictionaries(st.integers(0, 20 * MINUTE), st.integers(0, 3_000_000_000), min_size=1, max_size=30)


@given(COSTS, st.sampled_from(["per: hour", "rolling: 3m"]), st.integers(0, 59))
def test_every_minute_is_what_a_naive_sum_says_and_between_them_nothing_changed(
    tmp_path_factory, costs, length, shift
):
    rule = rule_engine(
        tmp_path_factory.mktemp("rules"),
        f"alert: A\nbudget: {{limit: 10, {length}, thresholds: [50%, 100%]}}",
    )
    start = NOON + shift * MINUTE
    panes = {start + at: vitals(cost_nano=nano) for at, nano in costs.items()}
    heard = rule_outputs(rule, panes, start + 2 * HOUR)
    held = {at: point for (_, at), point in kept(points(heard)).items()}
    passed = [alert for alert in alerts(heard) if alert.status == "firing"]
    assert len(points(heard)) == len(held) + len(passed), "one a minute, and one a threshold"
    stood = 0.0
    for first in range(start, start + 90 * MINUTE, MINUTE):
        last = first + MINUTE - 1
        low = last // HOUR * HOUR if "hour" in length else last - 3 * MINUTE + 1
        spent = sum(nano for at, nano in costs.items() if low <= start + at <= last) / 10**9
        point = held.get(first * PANE)
        if point is None:
            assert spent == stood, "what is not told is as it was"
        else:
            assert point.measures["spent_usd"] == spent
        stood = spent
