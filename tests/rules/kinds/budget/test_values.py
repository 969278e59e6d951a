"""What a budget says while it fires: values of each minute, an outlook, and the calls without a price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.record.reading import Reading
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine
from panes import MINUTE, PANE, alerts, rule_engine, vitals, walk
from spend import DAY, HOUR, moment

NOON = moment("2025-06-02T12:00")
MIDNIGHT = NOON + 12 * HOUR


def detected(
    engine: RuleEngine, panes: Mapping[int, Vitals], end: int, cuts: Iterable[int] = ()
) -> list[Reading]:
    """The readings of the one rule's detector, which is woken as the engine wakes it; cuts: restarts."""
    condition = engine.rules.rules[0].condition
    detector, state, found = condition.detector(PANE, ("",) * len(condition.by)), {}, []
    marks = sorted({*panes, *cuts, end})
    for pane in marks:
        while (due := detector.wakes(state)) < pane:
            assert due >= min(marks)
            found += detector.take(state, due, None)
        if pane in panes:
            found += detector.take(state, pane, panes[pane])
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    return found


def held(found: Iterable[Reading], facet: str = "") -> list[Reading]:
    return [each for each in found if each.verdict == "hold" and each.facet == facet]


def minutes(found: Iterable[Reading]) -> list[tuple[int, float]]:
    """(minutes after noon, value) of each."""
    return [((each.at // PANE - NOON) // MINUTE, each.value) for each in found]


@pytest.mark.parametrize("budget", ["per: day, by: [user]", "per: session", "rolling: 24h, by: [user]"])
def test_the_values_of_a_budget_without_points_go_on_while_it_fires(tmp_path, budget):
    rule = rule_engine(tmp_path, f"alert: A\nbudget: {{limit: 10, {budget}, thresholds: [50%]}}")
    costs = {0: 4, 1: 0.5, MINUTE: 1, MINUTE + 1: 0.25, 3 * MINUTE: 2, 9 * MINUTE + 5: 3}
    found = detected(rule, {NOON + at: vitals(cost=cost) for at, cost in costs.items()}, NOON + 11 * MINUTE)
    (breach,) = [each for each in found if each.verdict == "breach"]
    assert minutes(held(found)) == [(2, 5.75), (4, 7.75), (10, 10.75)], "none before it fires"
    assert {each.begin for each in held(found)} == {breach.begin}
    condition = rule.rules.rules[0].condition
    assert [stand for each in found for stand in condition.stands(each)] == [], "values, but no points"


def test_the_values_of_a_burn_go_on_each_minute(tmp_path):
    text = "alert: A\nbudget: {limit: 720, per: month, thresholds: [100%], burn_rate: default}"
    panes = {NOON + at: vitals(cost=1 / 3) for at in range(0, 2 * HOUR, MINUTE)}
    found = detected(rule_engine(tmp_path, text), panes, NOON + 10 * HOUR)
    breach, *rest = [each for each in found if each.facet == "burn"]
    *going, over = rest
    assert [each.verdict for each in going] == ["hold"] * len(going)
    assert {each.begin for each in rest} == {breach.begin}
    assert over.verdict == "clear"
    ends = [each.at // PANE for each in going]
    assert {later - end for end, later in pairwise(ends)} == {MINUTE}
    assert ends[0] - breach.at // PANE <= MINUTE
    assert going[30].value > breach.value
    late, early = (each.outlook and each.outlook.rate for each in (going[30], breach))
    assert late
    assert early
    assert late > early


def test_the_outlook_of_a_burn(tmp_path):
    text = "alert: A\nbudget: {limit: 720, per: month, thresholds: [100%], burn_rate: default}"
    panes = {NOON + at: vitals(cost=1 / 3) for at in range(0, HOUR, MINUTE)}
    (fired, *_) = walk(rule_engine(tmp_path, text), panes, NOON + HOUR)
    outlook: Any = fired.outlook
    assert (outlook.window, outlook.rate) == ("1 h", pytest.approx(44 / 3))
    # $705.33 are left, at $14.67 an hour.
    assert outlook.exhausted == pytest.approx(fired.at + (720 - 44 / 3) / (44 / 3) * HOUR * PANE, abs=1e6)
    # A burn goes on for a fifth of the period: six days.
    assert outlook.expected == pytest.approx(44 / 3 * (1 + 6 * 24))


def test_the_outlook_of_a_forecast_and_of_the_ladder(tmp_path):
    text = "alert: A\nbudget: {limit: 500, per: month, thresholds: [25%, 50%], burn_rate: default, forecast: 80%}"
    first = moment("2025-06-01T00:00")
    panes = {pane: vitals(cost=20 / 96) for pane in range(first, first + 14 * DAY, 15 * MINUTE)}
    found = detected(rule_engine(tmp_path, text), panes, first + 14 * DAY)
    fired = next(each for each in found if each.facet == "forecast")
    outlook: Any = fired.outlook
    assert fired.verdict == "breach"
    assert outlook.low < 500 < outlook.expected < outlook.high
    assert outlook.chance >= 0.8
    assert outlook.expected == pytest.approx(600, rel=0.01)
    assert outlook.exhausted == pytest.approx((first + 25 * DAY) * PANE, rel=1e-3)
    going = held(found, "forecast")
    assert {later.at - each.at for each, later in pairwise(going)} == {HOUR * PANE}, "fresh each hour"
    ladder = next(each for each in found if (each.facet, each.level) == ("", "50%"))
    outlook = ladder.outlook
    assert (outlook.rate, outlook.window) == (pytest.approx(1.2), "1 h")
    assert outlook.expected == pytest.approx(600, rel=0.01)


def test_a_threshold_seen_in_an_open_pane_has_an_outlook_too(tmp_path):
    text = "alert: A\nbudget: {limit: 720, per: month, thresholds: [1%], burn_rate: default}"
    rule, state = rule_engine(tmp_path, text), {}
    closed = [(NOON + at, vitals(cost=0.02)) for at in range(0, HOUR, MINUTE)]
    rule.advance("all", (), state, floor=NOON + HOUR, closed=closed)
    opened = [(NOON + HOUR, vitals(cost=7))]
    (fired,) = alerts(rule.advance("all", (), state, floor=NOON + HOUR, opened=opened))
    assert fired.outlook
    assert (fired.facet, fired.outlook.rate) == ("", pytest.approx(1.2))


def test_a_period_and_a_session_end_and_a_raised_limit_does_not(tmp_path):
    text = "alert: A\nbudget: {LIMIT, thresholds: [100%]}"
    day = rule_engine(tmp_path, text.replace("LIMIT", "limit: 10, per: day"))
    _, over = walk(day, {NOON: vitals(cost=70)}, MIDNIGHT + HOUR)
    assert (over.period_ended, over.value, over.note) == (True, 70, "overspent by $60")
    session = rule_engine(tmp_path, text.replace("LIMIT", "limit: 10, per: session"))
    fired, over = walk(session, {NOON: vitals(cost=12), NOON + 9: vitals(cost=1)}, MIDNIGHT, series=("s",))
    assert (fired.period_ended, over.period_ended, over.value) == (False, True, 13)
    rolling = rule_engine(tmp_path, text.replace("LIMIT", "limit: 10, rolling: 1h"))
    _, over = walk(rolling, {NOON: vitals(cost=12)}, MIDNIGHT)
    assert (over.status, over.period_ended) == ("resolved", False)
    state: dict[str, Any] = {}
    day.advance("all", (), state, floor=NOON + 1, closed=[(NOON, vitals(cost=12))])
    raised = rule_engine(tmp_path, text.replace("LIMIT", "limit: 20, per: day"))
    (over,) = alerts(raised.advance("all", (), state, floor=NOON + 2))
    assert (over.status, over.period_ended) == ("resolved", False)


@pytest.mark.parametrize("budget", ["per: day", "per: session", "rolling: 24h"])
def test_calls_without_a_price_are_counted(tmp_path, budget):
    rule = rule_engine(tmp_path, f"alert: A\nbudget: {{limit: 500, {budget}, thresholds: [50%]}}")
    panes = {NOON: vitals(cost=200, calls=1_200, unpriced_calls=4), NOON + 1: vitals(cost=100, calls=1_200)}
    series = ("s",) if "session" in budget else ()
    (fired, *_) = walk(rule, panes, NOON + 2, series=series)
    assert fired.unpriced == (4, 2_400)
    assert fired.summary.startswith("at least $300 of $500 per ")
    assert fired.summary.endswith("; 4 of 2,400 calls have no price")
    panes[NOON] = vitals(cost=200)
    (fired, *_) = walk(rule, panes, NOON + 2, series=series)
    assert fired.unpriced is None
    assert "at least" not in fired.summary


def test_a_budget_of_tokens_needs_no_price(tmp_path):
    rule = rule_engine(tmp_path, "alert: A\nbudget: {metric: calls, limit: 3, per: day, thresholds: [100%]}")
    (fired,) = walk(rule, {NOON: vitals(calls=3, unpriced_calls=3)}, NOON + 1)
    assert fired.unpriced is None


def test_a_burn_and_a_forecast_count_them_too(tmp_path):
    text = "alert: A\nbudget: {limit: 500, per: month, thresholds: [100%], burn_rate: default, forecast: 80%}"
    panes = {
        NOON + at: vitals(cost=20 if at > 12 * DAY else 1, calls=9, unpriced_calls=1)
        for at in range(0, 13 * DAY, HOUR)
    }
    fired = {alert.facet: alert for alert in walk(rule_engine(tmp_path, text), panes, NOON + 13 * DAY)}
    assert {"burn", "forecast"} <= fired.keys()
    for alert in fired.values():
        unpriced, calls = alert.unpriced or (0, 0)
        assert calls == 9 * unpriced > 0


@pytest.mark.parametrize(
    ("budget", "seen"),
    [
        ("per: day", {str(moment("2025-06-02T00:00") * PANE): [MIDNIGHT * PANE, 4 * 10**9, 2**62, [0, 10**10, 0]]}),
        ("rolling: 24h", {"ring": [[NOON // 30, [[4 * 10**9], 0, {}]]], "sum": [[4 * 10**9], 0, {}], "told": [0, 10**10, 0]}),
        ("per: session", {"spent": 4 * 10**9, "last": NOON, "told": [0, 10**10, 0]}),
    ],
)  # fmt: skip
def test_states_of_former_versions_are_read(tmp_path, budget, seen):
    rule = rule_engine(tmp_path, f"alert: A\nbudget: {{limit: 10, {budget}, thresholds: [100%]}}")
    detector = rule.rules.rules[0].condition.detector(PANE, ("",))
    more = vitals(cost=6, calls=3, unpriced_calls=1)
    (peeked,) = detector.peek(msgspec.msgpack.decode(msgspec.msgpack.encode(seen)), [(NOON + 1, more)])
    (taken,) = detector.take(seen, NOON + 1, more)
    assert (taken.value, taken.unpriced, peeked.value) == (10, (1, 3), 10)


SPENT = st.dictionaries(st.integers(0, 4 * HOUR), st.integers(0, 9_000_000_000), min_size=1, max_size=40)


@settings(max_examples=40)
@given(SPENT, st.sets(st.integers(0, 6 * HOUR), max_size=6), st.sampled_from(["by: [user]", "by: [team]"]))
def test_the_values_do_not_depend_on_restarts(tmp_path_factory, costs, cuts, by):
    text = f"alert: A\nbudget: {{limit: 40, per: day, {by}, thresholds: [50%], burn_rate: default, forecast: 80%}}"
    rule = rule_engine(tmp_path_factory.mktemp("rules"), text)
    panes = {NOON + at: vitals(cost_nano=nano) for at, nano in costs.items()}
    once = detected(rule, panes, NOON + 2 * DAY)
    assert detected(rule, panes, NOON + 2 * DAY, [NOON + cut for cut in cuts]) == once
