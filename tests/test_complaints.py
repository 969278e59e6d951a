"""What people complained about elsewhere (the end of ALERTS.md), each a test by its number."""

from __future__ import annotations

import pytest

from panes import PANE, said, told, vitals, walk, watch
from panes import alerts as spoken
from spend import DAY, HOUR, brief, call, moment, replayed, stages

FIRST = 1_700_000_000_000_000 // PANE // 6 * 6


@pytest.mark.parametrize("calls", [1, 2, 19])
@pytest.mark.parametrize("mode", ["ok", "keep", "alert", "no_data"])
def test_p99_of_two_calls_pages_nobody(tmp_path, calls, mode):
    """Without a word about min_calls in the rule; and the two calls alone are no lack of data either."""
    watched = watch(tmp_path, f"alert: Slow\nthreshold: {{metric: latency_p99, above: 4s}}\nno_data: {mode}")
    slow = vitals(ms=(60_000.0,) * calls)
    assert walk(watched, {FIRST: slow, FIRST + 500: slow}, FIRST + 20_000) == []


def test_langfuse_16178_a_monitor_that_can_not_say_says_so(tmp_path):
    rule = "alert: Slow\nthreshold: {metric: latency_p99, above: 4s, window: 1m}\nfor: 1m\nno_data: no_data"
    well = vitals(ms=(100.0,) * 20)
    (stuck,) = walk(watch(tmp_path, rule), {FIRST: well, FIRST + 1: well}, FIRST + 60)
    assert (stuck.status, stuck.level, stuck.at // PANE - FIRST) == ("firing", "no data", 8 + 6)
    assert stuck.summary == "Slow can't say: 0 calls within 1m, 20 are needed: all calls"


def test_langfuse_16178_a_pending_alert_is_not_stuck_when_calls_stop(tmp_path):
    """Time alone takes it on: it fires when `for` is over, though nobody calls any more."""
    rule = "alert: Slow\nthreshold: {metric: latency_p99, above: 4s, window: 5m}\nfor: 1m"
    slow = vitals(ms=(60_000.0,) * 20)
    assert told(walk(watch(tmp_path, rule), {FIRST: slow}, FIRST + 60)) == [
        ("firing", "", FIRST + 6), ("resolved", "", FIRST + 30),
    ]  # fmt: skip


NOON = moment("2025-06-01T12:00")


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_litellm_3738_and_3113_over_budget_each_request_does_not_alert(tmp_path, size):
    """One alert for each step of each period, however many requests come after it, in whatever batches."""
    rule = "alert: Team\nbudget: {limit: 10, per: day, by: [team], thresholds: [80%, 100%]}"
    calls = [call(NOON + at // 4, 0.1, at, team="search") for at in range(300)]
    found = replayed(stages(tmp_path, rule), calls, size, NOON + DAY)
    assert [(each.status, each.level) for each in found if each.at > calls[200]["ts"] * 1_000] == [
        ("resolved", "100%"),
    ]  # fmt: skip
    assert [each.level for each in found if each.status == "firing"][-1] == "100%"
    assert len(found) <= 3


@pytest.mark.parametrize("cuts", [(), (0,), (-1, 0, 1), (-HOUR, HOUR)])
def test_litellm_8364_and_16057_a_budget_begins_anew_once_and_by_itself(tmp_path, cuts):
    """At each midnight of its own zone, also when the worker restarts right then, or nothing is called."""
    rule = watch(
        tmp_path, "alert: A\nbudget: {limit: 10, per: day, timezone: America/New_York, thresholds: [100%]}"
    )
    midnight = [moment(f"2025-11-0{day}T00:00", "America/New_York") for day in range(1, 6)]
    spends = {midnight[0] + HOUR: 12, midnight[1] - 1: 1, midnight[1] + HOUR: 9, midnight[3]: 10}
    panes = {pane: vitals(cost=cost) for pane, cost in spends.items()}
    heard = said(
        rule, panes, midnight[4] + HOUR, cuts=[each + cut for each in midnight for cut in cuts], packed=True
    )
    found = spoken(heard)
    assert [(each.status, each.value, each.at // PANE) for each in found] == [
        ("firing", 12, midnight[0] + HOUR + 1),
        ("resolved", 13, midnight[1]),
        ("firing", 10, midnight[3] + 1),
        ("resolved", 10, midnight[4]),
    ]


def test_mlflow_26054_a_crossing_seen_in_late_data_alerts(tmp_path):
    """A call of noon that arrives two hours late is counted when it comes, once, and says so then."""
    rule = "alert: A\nbudget: {limit: 10, per: day, thresholds: [100%]}"
    late = call(NOON + 5, 3, "late")
    calls = [call(NOON, 8, 1), call(NOON + 2 * HOUR, 0, 2), late, late, call(NOON + 3 * HOUR, 0, 3)]
    fired, over = replayed(stages(tmp_path, rule), calls, 1, NOON + DAY)
    assert (fired.status, fired.value) == ("firing", 11)
    assert fired.at >= (NOON + 2 * HOUR) * PANE, "it could not be known before"
    assert (over.status, over.value) == ("resolved", 11)


def test_a_call_that_comes_twice_is_spent_once(tmp_path):
    rule = "alert: A\nbudget: {limit: 10, per: day, thresholds: [50%, 100%]}"
    calls = [call(NOON + at, 1, at) for at in range(6)]
    again = [each for each in calls for _ in range(3)]
    found = replayed(stages(tmp_path, rule), again, until=NOON + DAY)
    assert [(each.level, each.value) for each in found] == [("50%", 5), ("50%", 6)]


def test_langfuse_714_cost_per_user_over_a_rolling_window(tmp_path):
    rule = "alert: User\nbudget: {limit: 10, rolling: 24h, by: [user], thresholds: [100%]}"
    spends = [
        (0, "ann", 6),
        (1, "bob", 9),
        (20 * HOUR, "ann", 5),
        (23 * HOUR, "bob", 0.9),
        (25 * HOUR, "bob", 9),
    ]
    calls = [call(NOON + at, cost, user, user=user) for at, user, cost in spends]
    found = replayed(stages(tmp_path, rule), calls, until=NOON + 4 * DAY)
    # Bob's nine dollars of noon have left his 24 hours when he spends nine more.
    assert brief(found) == [("firing", "", "100%"), ("resolved", "", "100%")]
    assert {(each.labels["user"], each.window) for each in found} == {("ann", "1d")}
    assert found[0].value == 11
