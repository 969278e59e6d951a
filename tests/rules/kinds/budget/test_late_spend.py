"""Calls that came after their own pane had closed: their money counts in the period of their own time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmvitals.record.vitals import Vitals
from panes import MINUTE, PANE, alerts, points, rule_engine, rule_outputs, transitions, vitals, walk
from spend import DAY, HOUR, moment

NOON = moment("2025-06-01T12:00")
MIDNIGHT = NOON + 12 * HOUR
QUARTER = 15 * MINUTE
DAILY = "alert: Daily\nbudget: {limit: 10, per: day, thresholds: [50%, 100%]}"


def late(cost: float, pane: int, on_time: Vitals | None = None) -> Vitals:
    """A pane with a call that belongs to an earlier one."""
    return replace(on_time or Vitals(), late={pane // QUARTER: vitals(cost=cost)})


def stands(outputs):
    """(end of the minute in panes after noon, dollars) of each point."""
    return [(point.start // PANE - NOON + MINUTE, point.measures["spent_usd"]) for point in points(outputs)]


def test_late_money_of_this_period_fires(tmp_path):
    panes = {NOON: vitals(cost=4), NOON + HOUR: late(1, NOON), NOON + 2 * HOUR: late(6, NOON, vitals(cost=1))}
    found = walk(rule_engine(tmp_path, DAILY), panes, NOON + 3 * HOUR)
    assert transitions(found) == [("firing", "50%", NOON + HOUR), ("firing", "100%", NOON + 2 * HOUR)]
    assert [alert.value for alert in found] == [5, 12]


def test_it_fires_while_its_pane_is_open(tmp_path):
    rule, state = rule_engine(tmp_path, DAILY), {}
    rule.advance("all", (), state, floor=NOON + 1, closed=[(NOON, vitals(cost=4))])
    opened = [(NOON + HOUR, late(2, NOON))]
    (fired,) = alerts(rule.advance("all", (), state, floor=NOON + HOUR, opened=opened))
    assert (fired.level, fired.value, fired.at) == ("50%", 6, (NOON + HOUR + 1) * PANE)
    assert alerts(rule.advance("all", (), state, floor=NOON + HOUR + 1, closed=opened)) == []


@pytest.mark.parametrize("before", [{NOON: vitals(cost=4)}, {}])
def test_of_a_period_that_is_over_the_last_point_changes_and_nobody_is_paged(tmp_path, before):
    panes = before | {MIDNIGHT + 5 * HOUR: late(9, MIDNIGHT - 1, vitals(cost=3))}
    heard = rule_outputs(rule_engine(tmp_path, DAILY), panes, MIDNIGHT + 6 * HOUR)
    assert alerts(heard) == []
    assert (12 * HOUR, 9 + 4 * len(before)) in stands(heard)
    assert (17 * HOUR + MINUTE, 3) in stands(heard), "today has only what is of today"


def test_after_a_day_the_ledger_is_closed(tmp_path):
    panes = {NOON: vitals(cost=4), MIDNIGHT + DAY: late(9, MIDNIGHT - 1, vitals(cost=3))}
    heard = rule_outputs(rule_engine(tmp_path, DAILY), panes, MIDNIGHT + 2 * DAY)
    assert alerts(heard) == []
    assert [each for each in stands(heard) if each[1]] == [(MINUTE, 4), (MIDNIGHT + DAY - NOON + MINUTE, 3)]
    panes = {NOON: vitals(cost=4), MIDNIGHT + DAY - 1: late(9, MIDNIGHT - 1)}
    heard = rule_outputs(rule_engine(tmp_path, DAILY), panes, MIDNIGHT + 2 * DAY)
    assert (12 * HOUR, 13) in stands(heard), "a pane before that it is open"


def test_late_money_of_an_alert_that_was_over_pages_nobody(tmp_path):
    panes = {NOON: vitals(cost=6), MIDNIGHT + HOUR: late(9, NOON)}
    found = walk(rule_engine(tmp_path, DAILY), panes, MIDNIGHT + 2 * DAY)
    assert [(alert.status, alert.value) for alert in found] == [("firing", 6), ("resolved", 6)]


def test_a_budget_that_gives_no_points_keeps_no_ledger(tmp_path):
    rule, state = rule_engine(tmp_path, DAILY.replace("}", ", by: [user]}")), {}
    view = rule.views[0].name
    rule.advance(view, ("u",), state, floor=NOON + 1, closed=[(NOON, vitals(cost=4))])
    rule.advance(view, ("u",), state, floor=MIDNIGHT)
    assert state == {}
    assert (
        rule.advance(view, ("u",), state, floor=MIDNIGHT + 2, closed=[(MIDNIGHT + 1, late(20, NOON))]) == []
    )


def test_a_rolling_budget_adds_it_where_it_belongs(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, rolling: 2h, thresholds: [100%]}")
    own = NOON - NOON % QUARTER
    panes = {NOON: vitals(cost=4), NOON + HOUR: late(7, own)}
    found = walk(rule, panes, NOON + 5 * HOUR)
    assert transitions(found)[0] == ("firing", "100%", NOON + HOUR)
    # It leaves two hours after its own quarter of an hour; had it counted at one o'clock, it would stay till three.
    assert found[1].at // PANE <= own + QUARTER + 2 * HOUR + 1
    gone = {NOON: vitals(cost=4), NOON + 3 * HOUR: late(9, own, vitals(cost=2))}
    assert walk(rule, gone, NOON + 6 * HOUR) == [], "what has left the window already is not spent"


def test_a_session_adds_it_only_while_it_goes_on(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, per: session, thresholds: [100%]}")
    first = {NOON: vitals(cost=6)}
    (fired, over) = walk(rule, first | {NOON + 20 * MINUTE: late(5, NOON)}, NOON + DAY, series=("s",))
    assert (fired.value, over.at // PANE) == (11, NOON + 30 * MINUTE + 1), "and is not prolonged by it"
    assert walk(rule, first | {NOON + HOUR: late(50, NOON)}, NOON + DAY, series=("s",)) == []


def test_late_money_is_no_burn_and_no_present_hour(tmp_path):
    text = "alert: A\nbudget: {limit: 720, per: month, thresholds: [100%], burn_rate: default, forecast: 80%}"
    panes = {pane: vitals(cost=0.25) for pane in range(NOON, NOON + 5 * DAY, HOUR)}
    now = NOON + 5 * DAY
    heard = rule_outputs(rule_engine(tmp_path, text), panes | {now: late(200, NOON + 6 * HOUR)}, now + DAY)
    assert alerts(heard) == []
    (after,) = [point for point in points(heard) if point.start == now * PANE]
    assert (after.measures["spent_usd"], after.measures["burn_1h"]) == (230, 0)


def test_however_it_is_cut_it_is_the_same(tmp_path):
    for budget in ("per: hour", "per: day", "rolling: 2h"):
        rule = rule_engine(tmp_path, f"alert: A\nbudget: {{limit: 10, {budget}, thresholds: [50%, 100%]}}")
        panes = {NOON + at * 7 * MINUTE + at: vitals(cost=0.5) for at in range(40)}
        panes |= {
            NOON + at * 31 * MINUTE + 3: late(0.7, NOON + at * 11 * MINUTE, vitals(cost=0.1))
            for at in range(2, 9)
        }
        whole = rule_outputs(rule, panes, NOON + 2 * DAY)
        cuts = range(NOON, NOON + 5 * HOUR, 17)
        cut = rule_outputs(rule, panes, NOON + 2 * DAY, cuts=cuts, packed=True)
        assert (alerts(cut), points(cut)) == (alerts(whole), points(whole))
