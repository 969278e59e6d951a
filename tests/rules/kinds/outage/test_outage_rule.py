"""A provider's outage: minor and major in one episode, and what is no sign that it is over."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.errors import RuleError
from llmvitals.record.view import Condition
from panes import PANE, rule_engine, transitions, vitals, walk

FIRST = 1_700_000_000_000_000 // PANE // 6 * 6
RULE = "alert: Down\noutage: {window: 10s, min_calls: 10}\n"
WELL, WOBBLY, MINOR, MAJOR = (vitals(calls=100, errors=errors) for errors in (5, 15, 25, 70))


def heard(folder, contents, rule: str = RULE, end: int = 20):
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    return walk(rule_engine(folder, rule), panes, FIRST + end, series=("openai",))


def life(folder, contents, rule: str = RULE, end: int = 20):
    return [
        (status, level, pane - FIRST)
        for status, level, pane in transitions(heard(folder, contents, rule, end))
    ]


def test_an_outage_may_become_major_and_stays_so_until_it_is_over(tmp_path):
    assert life(tmp_path, [WELL, MINOR, MAJOR, MINOR, WOBBLY, WELL, WELL]) == [
        ("firing", "minor", 1), ("firing", "major", 2), ("resolved", "major", 5),
    ]  # fmt: skip


def test_it_is_one_episode_and_critical_only_where_it_is_major(tmp_path):
    for labels in ("", "labels: {severity: info}"):
        alerts = heard(tmp_path, [MINOR, MAJOR, WELL], RULE + labels)
        quiet = "info" if labels else "warning"
        assert [alert.severity for alert in alerts] == [quiet, "critical", "critical"]
        assert [alert.labels.get("severity", alert.severity) for alert in alerts] == [
            quiet,
            "critical",
            "critical",
        ]
        assert len({alert.episode for alert in alerts}) == 1
    assert [alert.limit for alert in alerts] == [0.2, 0.6, 0.2]
    assert alerts[0].summary == "25 % of the calls within 10s failed (minor outage): provider=openai"
    assert alerts[1].summary == "70 % of the calls within 10s failed (major outage): provider=openai"


def test_a_share_at_the_limit_is_an_outage(tmp_path):
    at, below = vitals(calls=100, errors=20), vitals(calls=100, errors=19)
    assert life(tmp_path, [at, below, WELL]) == [("firing", "minor", 0), ("resolved", "minor", 2)]
    assert life(tmp_path, [below, below]) == []
    all_of_them = RULE.replace("min_calls", "minor: 99%, major: 100%, min_calls")
    assert life(tmp_path, [vitals(calls=10, errors=10)], all_of_them) == [("firing", "major", 0)]


def test_callers_that_turn_away_are_no_sign_that_it_is_well(tmp_path):
    assert life(tmp_path, [MAJOR, vitals(calls=9), None, vitals(calls=2, errors=2)]) == [
        ("firing", "major", 0)
    ]
    assert life(tmp_path, [MAJOR, *[None] * 9, WELL]) == [("firing", "major", 0), ("resolved", "major", 10)]
    assert life(tmp_path, [MAJOR], RULE + "no_data: ok") == [("firing", "major", 0), ("resolved", "major", 1)]


def test_fewer_calls_than_min_calls_resolve_it_if_they_nearly_all_succeed(tmp_path):
    """At a small company 70 calls in ten minutes may not come again for days."""
    rule = "alert: Down\noutage: {window: 10s, minor: 30%, major: 70%, min_calls: 70, resolve_below: 10%}\n"
    for calls, errors, over in ((12, 0, False), (13, 0, True), (20, 1, True), (20, 2, False), (40, 4, True)):
        some = vitals(calls=calls, errors=errors)
        found = life(tmp_path, [MAJOR, some, vitals(calls=3)], rule)
        assert found == [("firing", "major", 0), *([("resolved", "major", 1)] if over else [])], calls
    # They never make it fire.
    assert life(tmp_path, [vitals(calls=20, errors=20)], rule) == []


def test_one_that_nobody_calls_for_a_day_is_not_kept_for_ever(tmp_path):
    day = 24 * 3600 // 10
    alerts = heard(tmp_path, [MAJOR], end=2 * day)
    assert [(alert.status, alert.at // PANE - 1 - FIRST) for alert in alerts] == [
        ("firing", 0),
        ("resolved", day + 1),
    ]
    assert alerts[1].reason == "too few calls for a day; no longer waiting"


def test_little_traffic_never_pages(tmp_path):
    assert life(tmp_path, [vitals(calls=9, errors=9)] * 9) == []


def test_for_and_keep_firing_for_count(tmp_path):
    lasting = RULE + "for: 20s\nkeep_firing_for: 20s"
    assert life(tmp_path, [MINOR, MAJOR, MINOR, WELL, WELL, WELL], lasting) == [
        ("firing", "minor", 2), ("resolved", "minor", 5),
    ]  # fmt: skip
    assert life(tmp_path, [MAJOR, WELL, MAJOR, WELL], lasting) == []


def test_only_the_providers_own_faults_count_where_they_are_named(tmp_path):
    def accepted(errors: str) -> set[str]:
        rule = f"alert: A\noutage: {{errors: {errors}, where: {{environment: prod}}}}"
        (found,) = rule_engine(tmp_path, rule).rules.rules
        assert dict(found.condition.where)["environment"] == Condition(frozenset({"prod"}))
        wanted = dict(found.condition.where)["error_type"]
        return {
            name
            for name in ("unknown", "Timeout", "InternalServerError", "BadRequest")
            if wanted.accepts(name)
        }

    # A call that went well has no error_type, which is called "unknown".
    assert accepted("Timeout") == accepted("[Timeout]") == {"unknown", "Timeout"}
    assert accepted("{not: [BadRequest]}") == {"unknown", "Timeout", "InternalServerError"}
    assert accepted("{regex: '.*ServerError|T.*'}") == {"unknown", "Timeout", "InternalServerError"}
    with pytest.raises(RuleError, match="successful calls"):
        accepted("{not: {regex: '.*'}}")


@pytest.mark.parametrize(
    ("condition", "cure"),
    [
        ("minor: 0.2", "in per cent: 20%"),
        ("minor: 0%", "write a greater share"),
        ("minor: 60%, major: 20%", "minor has to be below major"),
        ("minor: 20%, resolve_below: 30%", "write a lower share"),
        ("major: 120%", "between 0% and 100%"),
        ("errors: [3]", "put it in quotes"),
        ("errors: []", "the list is empty"),
        ("where: {error_type: Timeout}", "write errors: [Timeout, …]"),
        ("where: {status: error}", "would exclude successful calls"),
        ("severe: 60%", "unknown key 'severe'"),
        ("window: 61s", "write 1m"),
    ],
)
def test_mistakes_are_told_with_their_cure(tmp_path, condition, cure):
    with pytest.raises(RuleError, match=re.escape(cure)):
        rule_engine(tmp_path, f"alert: A\noutage: {{{condition}}}")


CONTENTS = st.lists(
    st.sampled_from([None, WELL, WOBBLY, MINOR, MAJOR, vitals(calls=3, errors=3)]), max_size=12
)


@given(
    CONTENTS,
    st.sets(st.integers(0, 15)),
    st.booleans(),
    st.sampled_from(["", "for: 20s\nkeep_firing_for: 20s"]),
)
def test_any_batching_gives_the_same_alerts(tmp_path_factory, contents, cuts, packed, life):
    watched = rule_engine(tmp_path_factory.mktemp("rules"), RULE + life)
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    whole = walk(watched, panes, FIRST + 20, series=("x",))
    cuts = {FIRST + cut for cut in cuts}
    assert walk(watched, panes, FIRST + 20, cuts=cuts, series=("x",), packed=packed, ticks=True) == whole


@pytest.mark.parametrize("contents", [[MINOR, MAJOR, WELL, MINOR]])
def test_each_outage_is_an_episode_of_its_own(tmp_path, contents):
    episodes = [alert.episode for alert in heard(tmp_path, contents)]
    assert episodes[0] == episodes[1] == episodes[2] != episodes[3]
