"""Budgets from calls to alerts, through the stages of the worker."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frames import alerts
from panes import PANE
from spend import DAY, HOUR, brief, call, fed, moment, replayed, restarted, stages

NOON = moment("2025-06-01T12:00")


@pytest.mark.parametrize(
    ("by", "field"),
    [
        ("team", {"team": "search"}),
        ("user", {"user": "search"}),
        ("key", {"key": "search"}),
        ("app", {"app": "search"}),
        ("model", {"model": "search"}),
        ("tags.crew", {"tags": {"crew": "search"}}),
    ],
)
def test_a_budget_is_of_each_value(tmp_path, by, field):
    rule = (
        f"alert: A\nbudget: {{limit: 10, per: day, by: [{by}], overrides: {{search: 4}}, thresholds: [100%]}}"
    )
    other = {name: {"crew": "else"} if name == "tags" else "else" for name in field}
    calls = [call(NOON + n, 1, who, **fields) for n in range(6) for who, fields in enumerate((field, other))]
    found = replayed(stages(tmp_path, rule), calls, until=NOON + DAY)
    assert [(alert.status, alert.labels, alert.value) for alert in found] == [
        ("firing", {by: "search"}, 4),
        ("resolved", {by: "search"}, 6),
    ]


def test_a_session_is_one_budget_until_it_is_silent(tmp_path):
    rule = "alert: A\nbudget: {limit: 3, per: session, idle: 5m, thresholds: [100%]}"
    gap = 5 * HOUR // 60
    times = [0, 1, gap, 2 * gap, 4 * gap, 4 * gap + 1, 4 * gap + 2]
    calls = [call(NOON + at, 1, session="s") for at in times]
    calls += [call(NOON + at, 1, "none") for at in range(4 * gap)]
    found = replayed(stages(tmp_path, rule), sorted(calls, key=lambda each: each["ts"]), until=NOON + HOUR)
    assert [(alert.status, alert.labels["session"], alert.value) for alert in found] == [
        ("firing", "s", 3),
        ("resolved", "s", 4),
        ("firing", "s", 3),
        ("resolved", "s", 3),
    ]
    assert found[0].episode == found[1].episode != found[2].episode
    assert found[1].until == (NOON + 3 * gap + 1) * PANE, (
        "silent for five minutes after the pane of its last call"
    )


def test_the_period_ends_and_the_overspend_is_told(tmp_path):
    rule = "alert: A\nbudget: {limit: 10, per: day, timezone: Europe/Berlin, thresholds: [80%, 100%]}"
    calls = [call(NOON, 9, 1), call(NOON + 1, 4.2, 2), call(NOON + 2, 1, 3), call(NOON + DAY, 1, 4)]
    found = replayed(stages(tmp_path, rule), calls)
    assert brief(found) == [("firing", "", "80%"), ("firing", "", "100%"), ("resolved", "", "100%")]
    assert [alert.note for alert in found] == ["", "overspent by $3.20", "overspent by $4.20"]
    end = moment("2025-06-02T00:00", "Europe/Berlin") * PANE
    assert {alert.ends for alert in found} == {found[2].until} == {end}


def test_a_limit_that_was_raised_while_the_worker_was_down_ends_the_block_of_one_who_calls_no_more(tmp_path):
    rule = "alert: A\nbudget: {limit: LIMIT, per: day, by: [team], thresholds: [80%, 100%], verdict: block}"
    worker = stages(tmp_path, rule.replace("LIMIT", "10"))
    calls = [call(NOON, 12, 1, team="a"), call(NOON, 9, "b", team="b"), call(NOON + 6 * HOUR, 0, 2)]
    blocked = [alert for alert in alerts(fed(worker, calls)) if alert.labels["team"] == "a"]
    stages(tmp_path, rule.replace("LIMIT", "20"))
    worker = restarted(worker, tmp_path)
    said = alerts(fed(worker, [call(NOON + 7 * HOUR, 0, 3), call(NOON + 8 * HOUR, 0, 4)]))
    assert [alert.verdict for alert in blocked] == ["block"]
    assert {
        alert.labels["team"]: (alert.status, alert.verdict, alert.note) for alert in said
    } == dict.fromkeys("ab", ("resolved", "", "the limit was raised from $10 to $20"))
    assert len(said) == 2
    worker = restarted(worker, tmp_path)
    assert alerts(fed(worker, [call(NOON + 9 * HOUR, 0, 5), call(NOON + 10 * HOUR, 0, 6)])) == []


COSTS = st.lists(
    st.tuples(st.integers(0, 2 * HOUR), st.integers(0, 4_000_000_000), st.sampled_from("ab")),
    min_size=8,
    max_size=25,
)


@settings(max_examples=25)
@given(COSTS, st.integers(1, 30))
def test_in_any_batches_each_step_is_told_once_a_period_at_the_call_that_passes_it(
    tmp_path_factory, costs, size
):
    rule = "alert: A\nbudget: {limit: 10, per: hour, by: [team], thresholds: [50%, 100%]}"
    calls = [
        call(NOON + at, nano / 1e9, number, team=team)
        for number, (at, nano, team) in enumerate(sorted(costs))
    ]
    found = replayed(stages(tmp_path_factory.mktemp("rules"), rule), calls, size, NOON + 5 * HOUR)
    spent: dict[tuple[str, int], int] = defaultdict(int)
    steps: dict[tuple[str, int], int] = {}
    for at, nano, team in sorted(costs):
        place = team, at // HOUR
        spent[place] += nano
        steps[place] = 100 if spent[place] >= 10e9 else 50 if spent[place] >= 5e9 else 0
    for (team, hour), step in steps.items():
        said = [
            alert
            for alert in found
            if alert.labels["team"] == team and alert.ends == (NOON // HOUR + hour + 1) * HOUR * PANE
        ]
        fired = [alert.level for alert in said if alert.status == "firing"]
        allowed: dict[int, list[list[str]]] = {0: [[]], 50: [["50%"]], 100: [["100%"], ["50%", "100%"]]}
        assert fired in allowed[step]
        if step:
            assert said[-1].status == "resolved"
            assert said[-1].value == spent[team, hour] / 1e9, "to the nano-dollar"
    assert len({alert.episode for alert in found}) == sum(step > 0 for step in steps.values())
