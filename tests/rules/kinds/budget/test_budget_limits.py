"""A limit that changes, a budget that steers gateways, and periods at the ends of months and of summer."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.window import period
from panes import MINUTE, PANE, SECOND, alerts, rule_engine, transitions, vitals, walk
from spend import DAY, HOUR, moment

NOON = moment("2025-06-01T12:00")
RULE = "alert: A\nbudget: {{limit: {limit}, {per}, thresholds: [50%, 80%, 100%]}}"


def walked(folder, state, rule, floor, closed=(), series=()):
    """A step under this rule, from a state that went through a checkpoint."""
    watched = rule_engine(folder, rule)
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    said = alerts(watched.advance(watched.views[0].name, series, restored, floor=floor, closed=closed))
    state.clear()
    state.update(restored)
    return said


@pytest.mark.parametrize("per", ["per: day", "rolling: 24h"])
def test_raised_the_ladder_goes_on_from_where_the_spend_stands(tmp_path, per):
    state: dict = {}
    (first,) = walked(tmp_path, state, RULE.format(limit=10, per=per), NOON + 1, [(NOON, vitals(cost=12))])
    raised = RULE.format(limit=20, per=per)
    (over,) = walked(tmp_path, state, raised, NOON + 9)
    assert (first.level, over.status, over.at) == ("100%", "resolved", (NOON + 9) * PANE), "without a call"
    assert over.note == "the limit was raised from $10 to $20"
    assert over.episode == first.episode
    # 12 of 20 is 60 %: half of it was told when it was 100 % of ten.
    assert walked(tmp_path, state, raised, NOON + 10, [(NOON + 9, vitals(cost=1))]) == []
    (next_step,) = walked(tmp_path, state, raised, NOON + 11, [(NOON + 10, vitals(cost=3))])
    assert (next_step.level, next_step.value, next_step.limit) == ("80%", 16, 20)
    assert next_step.episode != first.episode


@pytest.mark.parametrize("per", ["per: day", "rolling: 24h"])
def test_raised_but_still_used_up_nothing_is_said(tmp_path, per):
    state: dict = {}
    walked(tmp_path, state, RULE.format(limit=10, per=per), NOON + 1, [(NOON, vitals(cost=30))])
    raised = RULE.format(limit=20, per=per)
    assert walked(tmp_path, state, raised, NOON + 9, [(NOON + 8, vitals(cost=1))]) == []


@pytest.mark.parametrize("per", ["per: day", "rolling: 24h", "per: session"])
def test_lowered_the_highest_step_passed_is_told_once(tmp_path, per):
    state: dict = {}
    series = ("s",) if "session" in per else ()
    before, after = RULE.format(limit=40, per=per), RULE.format(limit=10, per=per)
    (first,) = walked(tmp_path, state, before, NOON + 1, [(NOON, vitals(cost=21))], series)
    (lowered,) = walked(tmp_path, state, after, NOON + 9, series=series)
    assert (first.level, lowered.status, lowered.level) == ("50%", "firing", "100%")
    assert lowered.episode == first.episode, "one incident, that got worse"
    assert lowered.note == "the limit was lowered from $40 to $10; overspent by $11"
    assert lowered.at == (NOON + 9) * PANE
    assert walked(tmp_path, state, after, NOON + 20, [(NOON + 10, vitals(cost=1))], series) == []


def test_lowered_before_anything_was_told_it_is_told_without_a_call(tmp_path):
    state: dict = {}
    assert (
        walked(tmp_path, state, RULE.format(limit=40, per="per: day"), NOON + 1, [(NOON, vitals(cost=9))])
        == []
    )
    (lowered,) = walked(tmp_path, state, RULE.format(limit=10, per="per: day"), NOON + 99)
    assert (lowered.level, lowered.at) == ("80%", (NOON + 99) * PANE)


def test_a_limit_raised_after_the_period_does_not_touch_it(tmp_path):
    state: dict = {}
    walked(tmp_path, state, RULE.format(limit=10, per="per: hour"), NOON + 1, [(NOON, vitals(cost=12))])
    (over,) = walked(tmp_path, state, RULE.format(limit=20, per="per: hour"), NOON + 2 * HOUR)
    assert (over.status, over.limit, over.note) == ("resolved", 10, "overspent by $2")
    assert over.at == (NOON + HOUR) * PANE


def test_watched_more_closely_a_budget_keeps_what_was_spent(tmp_path):
    state: dict = {}
    plain = "alert: A\nbudget: {limit: 10, per: month, thresholds: [100%]}"
    assert walked(tmp_path, state, plain, NOON + 1, [(NOON, vitals(cost=6))]) == []
    closer = plain.replace("}", ", burn_rate: default, forecast: 80%}")
    found = walked(tmp_path, state, closer, NOON + 2, [(NOON + 1, vitals(cost=4))])
    assert sorted((alert.facet, alert.level, alert.value) for alert in found) == [
        ("", "100%", 10),
    ], "what is gone can't burn"
    (over,) = walked(tmp_path, state, plain, NOON + 40 * DAY)
    assert over.status == "resolved"
    assert walked(tmp_path, state, plain, NOON + 41 * DAY) == []
    assert state == {}


def test_a_facet_that_is_no_longer_watched_is_over(tmp_path):
    state: dict = {}
    burning = "alert: A\nbudget: {limit: 100, per: month, thresholds: [100%], burn_rate: default}"
    (fired,) = walked(tmp_path, state, burning, NOON + 1, [(NOON, vitals(cost=50))])
    plain = burning.replace(", burn_rate: default", "")
    (over,) = walked(tmp_path, state, plain, NOON + 9)
    assert (over.status, over.facet, over.episode) == ("resolved", "burn", fired.episode)
    assert over.note == "this part of the rule was removed"


def test_other_pairs_end_what_the_old_ones_told(tmp_path):
    state: dict = {}
    rule = "alert: A\nbudget: {limit: 100, per: month, thresholds: [100%], burn_rate: BURN}"
    (fired,) = walked(tmp_path, state, rule.replace("BURN", "default"), NOON + 1, [(NOON, vitals(cost=50))])
    others = rule.replace("BURN", "[{factor: 5_000, windows: [2h, 10m]}]")
    (over,) = walked(tmp_path, state, others, NOON + 9)
    assert (over.status, over.episode, over.at) == ("resolved", fired.episode, (NOON + 9) * PANE)


@pytest.mark.parametrize(
    ("steers", "expected"),
    [
        ("", ["", "", "", ""]),
        ("verdict: warn", ["", "warn", "warn", "warn"]),
        ("verdict: block", ["", "warn", "block", "block"]),
        ("verdict: block, block_at: 120%", ["", "warn", "warn", "block"]),
    ],
)
def test_a_budget_warns_and_blocks(tmp_path, steers, expected):
    rule = rule_engine(
        tmp_path,
        f"alert: A\nbudget: {{limit: 10, per: day, thresholds: [50%, 80%, 100%, 120%]{', ' * bool(steers)}{steers}}}",
    )
    costs = {NOON: 5, NOON + 1: 3, NOON + 2: 2, NOON + 3: 2}
    found = walk(rule, {pane: vitals(cost=cost) for pane, cost in costs.items()}, NOON + DAY)
    assert [alert.verdict for alert in found] == [*expected, ""]
    assert {alert.ends for alert in found} == {moment("2025-06-02T00:00") * PANE}


def test_a_rolling_budget_blocks_until_it_is_clearly_below_its_first_step(tmp_path):
    rule = rule_engine(
        tmp_path, "alert: A\nbudget: {limit: 10, rolling: 10m, thresholds: [80%, 100%], verdict: block}"
    )
    panes = {NOON: vitals(cost=3), NOON + MINUTE: vitals(cost=7.5)}
    found = walk(rule, panes, NOON + HOUR)
    # After ten minutes 7.5 are left: below 95 % of 8.
    assert [(alert.status, alert.verdict, alert.at // PANE - NOON) for alert in found] == [
        ("firing", "block", MINUTE + 1),
        ("resolved", "", 10 * MINUTE + 1),
    ]


def test_episodes_of_a_rolling_budget_have_names_of_their_own(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, rolling: 10m, thresholds: [100%]}")
    start = NOON - 5 * MINUTE
    panes = {start: vitals(cost=8), NOON + 1: vitals(cost=2), start + 11 * MINUTE: vitals(cost=9)}
    found = walk(rule, panes, NOON + HOUR)
    assert [alert.status for alert in found] == ["firing", "resolved", "firing", "resolved"]
    assert found[0].episode != found[2].episode


def test_panes_that_stay_open_for_longer_than_the_window_are_not_all_in_it(tmp_path):
    """As when one source of calls is late by half an hour and holds the others up."""
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, rolling: 10m, thresholds: [100%]}")
    opened = [(NOON + at * MINUTE, vitals(cost=cost)) for at, cost in ((0, 6), (20, 6), (31, 6), (40, 4))]
    (fired,) = alerts(rule.advance("all", (), {}, floor=NOON, opened=opened))
    assert (fired.value, fired.at // PANE) == (10, NOON + 40 * MINUTE + 1)


def test_a_session_goes_on_in_the_last_pane_before_it_is_over(tmp_path):
    """Of its 30 silent minutes the last pane still counts, closed or open; one later it is another session."""
    rule = rule_engine(tmp_path, "alert: A\nbudget: {limit: 10, per: session, thresholds: [100%]}")
    for late, expected in ((30 * MINUTE, [12]), (30 * MINUTE + 1, [])):
        state: dict = {}
        first, second = (NOON, vitals(cost=6)), (NOON + late, vitals(cost=6))
        found = rule.advance(
            rule.views[0].name, ("s",), state, floor=NOON + 1, closed=[first], opened=[second]
        )
        assert [alert.value for alert in alerts(found)] == expected
        changes = walk(rule, dict([first, second]), NOON + DAY, series=("s",))
        assert [alert.value for alert in changes if alert.status == "firing"] == expected


# Periods, by the clocks on the wall

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2025-03-30", 23),
        ("Europe/Berlin", "2025-10-26", 25),
        ("America/New_York", "2025-03-09", 23),
        ("America/New_York", "2025-11-02", 25),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Australia/Lord_Howe", "2025-10-05", 23.5),
        ("Asia/Kathmandu", "2025-03-30", 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(tmp_path, zone, day, hours):
    rule = rule_engine(
        tmp_path, f"alert: A\nbudget: {{limit: 10, per: day, timezone: {zone}, thresholds: [100%]}}"
    )
    first = moment(f"{day}T00:00", zone)
    last = first + int(hours * HOUR) - 1
    found = walk(rule, {first: vitals(cost=5), last: vitals(cost=5)}, last + HOUR)
    assert transitions(found) == [("firing", "100%", last), ("resolved", "100%", last)]
    assert walk(rule, {last: vitals(cost=5), last + 1: vitals(cost=5)}, last + HOUR) == []


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize(
    ("per", "first", "after"),
    [
        ("month", "2024-02-01T00:00", "2024-03-01T00:00"),
        ("month", "2025-02-01T00:00", "2025-03-01T00:00"),
        ("month", "2025-04-01T00:00", "2025-05-01T00:00"),
        ("quarter", "2025-10-01T00:00", "2026-01-01T00:00"),
        ("year", "2024-01-01T00:00", "2025-01-01T00:00"),
        ("week", "2025-03-31T00:00", "2025-04-07T00:00"),
    ],
)
def test_months_and_years_end_where_people_say_so(tmp_path, zone, per, first, after):
    rule = rule_engine(
        tmp_path, f"alert: A\nbudget: {{limit: 10, per: {per}, timezone: {zone}, thresholds: [100%]}}"
    )
    begin, end = moment(first, zone), moment(after, zone)
    found = walk(rule, {begin: vitals(cost=5), end - 1: vitals(cost=5)}, end + HOUR)
    assert transitions(found) == [("firing", "100%", end - 1), ("resolved", "100%", end - 1)]
    assert walk(rule, {begin - 1: vitals(cost=5), begin: vitals(cost=4)}, end + HOUR) == []


@settings(max_examples=300)
@given(
    st.integers(946_684_800, 2_208_988_800),
    st.sampled_from(ZONES),
    st.sampled_from(["day", "week", "month", "year"]),
)
def test_every_moment_is_in_the_period_that_the_wall_says(seconds, name, per):
    zone = ZoneInfo(name)
    start, end = period(seconds * SECOND, per, zone)
    assert start <= seconds * SECOND < end

    def name_of(time: int) -> object:
        local = datetime.fromtimestamp(time // SECOND, zone)
        return {
            "day": local.date(),
            "week": local.date() - timedelta(days=local.weekday()),
            "month": (local.year, local.month),
            "year": local.year,
        }[per]

    assert name_of(start) == name_of(seconds * SECOND) == name_of(end - SECOND)
    assert name_of(start - SECOND) != name_of(start)
    assert name_of(end) != name_of(start)
