"""While an alert fires, its newest and its worst value are told once a minute; an end tells the worst one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.record.alert import Alert
from panes import MINUTE, PANE, alerts, rule_engine, rule_outputs, vitals

FIRST = 1_700_000_000_000_000 // PANE // (6 * MINUTE) * 6 * MINUTE
SPENDS = "alert: Spends\nbudget: {limit: 100, per: day, by: [team], burn_rate: default, forecast: 80%}"
FAILS = "alert: Fails\nthreshold: {metric: error_share, above: 50%, window: 10s, min_calls: 5}\nkeep_firing_for: 5m"


def records(folder: Any, rule: str, contents: dict[int, Any], end: int, **how: Any) -> list[Alert]:
    """All records of alerts, with those of values that moved."""
    panes = {FIRST + at: content for at, content in contents.items()}
    return alerts(rule_outputs(rule_engine(folder, rule), panes, FIRST + end, **how), updates=True)


def failing(*shares: float) -> dict[int, Any]:
    return {at: vitals(calls=1_000, errors=round(share * 1_000)) for at, share in enumerate(shares)}


def test_spend_goes_on_after_the_last_threshold(tmp_path):
    contents = {6 * minute: vitals(cost=10) for minute in range(40)}
    told = [a for a in records(tmp_path, SPENDS, contents, 260, series=("search",)) if not a.facet]
    assert told[-1].value == 400
    assert told[-1].peak == 400
    assert "$400 of $100" in told[-1].summary
    assert [a.level for a in told if not a.update] == ["50%", "80%", "100%"]
    every = [later.at - earlier.at for earlier, later in pairwise(told) if later.update]
    assert min(every) >= 60_000_000


def test_now_follows_the_value_and_the_peak_keeps_the_worst(tmp_path):
    shares = [0.667, *[1.0] * 12, *[0.8] * 12]
    told = records(tmp_path, FAILS, failing(*shares), 25)
    assert [(a.status, a.update) for a in told] == [("firing", False), *[("firing", True)] * 2]
    assert [(a.value, a.peak) for a in told] == [(0.667, 0.667), (1.0, 1.0), (0.8, 1.0)]


def test_the_end_tells_the_worst_value(tmp_path):
    *_, over = records(tmp_path, FAILS, failing(0.6, 0.9, *[0.1] * 60), 62)
    assert (over.status, over.value, over.peak) == ("resolved", 0.1, 0.9)


def test_below_a_limit_the_least_value_is_the_worst(tmp_path):
    rule = FAILS.replace("above: 50%", "below: 50%")
    told = records(tmp_path, rule, failing(0.4, *[0.2] * 7, *[0.3] * 7), 15)
    assert [(a.value, a.peak) for a in told] == [(0.4, 0.4), (0.2, 0.2), (0.3, 0.2)]


def test_a_value_is_told_although_calls_have_ceased(tmp_path):
    """It changed within the minute after the alert; nothing comes after it."""
    rule = FAILS.replace("window: 10s", "window: 5m")
    told = records(tmp_path, rule, failing(0.6, 1.0), 20)
    assert [(a.value, a.update) for a in told] == [(0.6, False), (0.8, True)]
    assert told[1].at - told[0].at == 60_000_000


def test_values_that_do_not_move_are_not_told_again(tmp_path):
    assert len(records(tmp_path, FAILS, failing(*[0.9] * 60), 60)) == 1


def test_too_few_calls_are_no_value(tmp_path):
    few = {at: vitals(calls=2, errors=2) for at in range(1, 40)}
    told = records(tmp_path, FAILS + "\nno_data: keep", {**failing(0.9), **few}, 40)
    assert [(a.status, a.value, a.peak) for a in told] == [("firing", 0.9, 0.9)]


def test_an_update_is_no_change(tmp_path):
    first, second, _ = records(tmp_path, FAILS, failing(0.667, *[1.0] * 12, *[0.8] * 12), 25)
    assert (second.since, second.episode, second.changed) == (first.since, first.episode, first.at)
    assert second.at > first.at


def test_the_alerts_of_one_budget_tell_one_spend(tmp_path):
    """The ladder and the burn rate are two alerts, and there is one spend."""
    contents = {6 * minute: vitals(cost=10) for minute in range(20)}
    told = records(tmp_path, SPENDS, contents, 140, series=("search",))
    newest = {alert.facet: alert for alert in told}
    assert len(newest) >= 2
    assert {alert.value for alert in newest.values()} == {200.0}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return rule_engine(tmp_path_factory.mktemp("rules"), SPENDS)


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(0, 200), st.integers(1, 60), max_size=60),
    st.sets(st.integers(0, 260)),
    st.booleans(),
)
def test_batches_and_restarts_change_nothing(engine, spends, cuts, packed):
    panes = {FIRST + at: vitals(cost=dollars) for at, dollars in spends.items()}
    how = {"series": ("search",)}
    whole = rule_outputs(engine, panes, FIRST + 300, **how)
    split = rule_outputs(engine, panes, FIRST + 300, cuts={FIRST + at for at in cuts}, packed=packed, **how)
    assert alerts(split, updates=True) == alerts(whole, updates=True)
    for earlier, later in pairwise(a for a in alerts(whole, updates=True) if not a.facet):
        assert later.peak is not None
        assert earlier.peak is not None
        assert earlier.episode != later.episode or later.peak >= earlier.peak
