"""An alert's life: pending → firing → resolved in event time, the same in every batching and after a restart."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.record.alert import Alert, Heavy
from llmvitals.rules.engine import load_engine
from panes import MINUTE, PANE, alerts, points, rule_engine, rule_outputs, transitions, vitals, walk

FIRST = 1_700_000_000_000_000 // PANE // (6 * MINUTE) * 6 * MINUTE
BAD, SOSO, GOOD = vitals(calls=10, errors=9), vitals(calls=10, errors=4), vitals(calls=10)
CONDITION = "threshold: {metric: error_share, above: 50%, window: 10s, min_calls: 5, resolve_below: 20%}\n"


def life(folder, text: str = "", contents=(), end: int = 60):
    """What one alert does when the panes hold these contents (None: no calls)."""
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    alerts = walk(rule_engine(folder, f"alert: A\n{CONDITION}{text}"), panes, FIRST + end)
    return [(status, pane - FIRST) for status, _, pane in transitions(alerts)]


def test_it_fires_at_once_without_for(tmp_path):
    assert life(tmp_path, "", [GOOD, BAD, BAD, GOOD]) == [("firing", 1), ("resolved", 3)]


def test_it_waits_for_as_long_as_for_says(tmp_path):
    assert life(tmp_path, "for: 30s", [BAD] * 3 + [GOOD]) == []
    assert life(tmp_path, "for: 30s", [BAD] * 4 + [GOOD]) == [("firing", 3), ("resolved", 4)]
    assert life(tmp_path, "for: 25s", [BAD] * 4 + [GOOD]) == [("firing", 3), ("resolved", 4)]


def test_an_interruption_begins_the_wait_anew(tmp_path):
    assert life(tmp_path, "for: 30s", [BAD, BAD, SOSO, BAD, BAD, BAD, GOOD]) == []
    assert life(tmp_path, "for: 30s", [BAD, BAD, None, BAD, BAD, BAD, GOOD]) == []


def test_it_began_when_it_was_first_seen(tmp_path):
    panes = {FIRST + at: BAD for at in range(4)}
    (alert, over) = walk(rule_engine(tmp_path, f"alert: A\n{CONDITION}for: 30s"), panes, FIRST + 9)
    assert (alert.since, alert.at, alert.until) == ((FIRST + 1) * PANE, (FIRST + 4) * PANE, None)
    assert (over.since, over.at, over.until) == (alert.since, (FIRST + 5) * PANE, (FIRST + 5) * PANE)
    assert alert.episode == over.episode == f"{alert.fingerprint}-{alert.since}"


def test_between_limit_and_release_it_stays_what_it_is(tmp_path):
    assert life(tmp_path, "", [SOSO, SOSO, BAD, SOSO, SOSO, GOOD]) == [("firing", 2), ("resolved", 5)]


def test_keep_firing_for_bridges_a_pause(tmp_path):
    keep = "keep_firing_for: 30s"
    assert life(tmp_path, keep, [BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD]) == [
        ("firing", 0),
        ("resolved", 7),
    ]
    assert life(tmp_path, keep, [BAD, GOOD, SOSO, GOOD, GOOD, GOOD, GOOD]) == [("firing", 0), ("resolved", 6)]
    assert life(tmp_path, keep, [BAD]) == [("firing", 0), ("resolved", 4)]


def test_it_resolves_when_calls_stop(tmp_path):
    assert life(tmp_path, "", [BAD]) == [("firing", 0), ("resolved", 1)]
    alerts = walk(rule_engine(tmp_path, f"alert: A\n{CONDITION}"), {FIRST: BAD}, FIRST + 9)
    assert [alert.value for alert in alerts] == [0.9, 0.9]
    assert alerts[1].reason == "too few calls"


def test_no_data_keep_lets_it_stay_until_calls_say_otherwise(tmp_path):
    assert life(tmp_path, "no_data: keep", [BAD]) == [("firing", 0)]
    assert life(tmp_path, "no_data: keep", [BAD, *[None] * 30, GOOD]) == [("firing", 0), ("resolved", 31)]
    keep = "no_data: keep\nkeep_firing_for: 30s"
    assert life(tmp_path, keep, [BAD, GOOD, *[None] * 9, GOOD, GOOD, GOOD, GOOD]) == [
        ("firing", 0),
        ("resolved", 14),
    ]


def test_each_episode_has_its_own_name(tmp_path):
    panes = {FIRST + at: content for at, content in enumerate([BAD, GOOD, BAD, GOOD])}
    episodes = [
        alert.episode for alert in walk(rule_engine(tmp_path, f"alert: A\n{CONDITION}"), panes, FIRST + 9)
    ]
    assert episodes[0] == episodes[1] != episodes[2] == episodes[3]


FULL = """
alert: Slow
threshold:
  metric: latency_max
  above: 1s
  resolve_below: 500ms
  by: [app, model]
  window: 1m
  min_calls: 1
labels: {severity: critical, crew: blue}
annotations:
  summary: "{rule} {metric} {value} {limit} {percent} {window} {severity} {series} {app} {model} {crew} {{{level}}}"
  runbook_url: https://wiki.example/slow
notify: {slack: "#llm"}
"""


def test_an_alert_says_what_people_need(tmp_path):
    names = {
        "session": {"s1": (3, 5_000, 70), "s2": (2, 9_000, 10)},
        "model": {"gpt-5": (5, 14_000, 80)},
        "prompt": {"answer@v7": (5, 14_000, 80)},
    }
    worst = {"latency": ((9_000_000, "t1"), (8_000_000, "t2")), "cost": ((9_000, "t3"), (5_000, "t1"))}
    content = vitals(ms=(4200.0,) * 5, names=names, worst=worst)
    alerts = walk(rule_engine(tmp_path, FULL), {FIRST: content}, FIRST + 1, series=("chat", "gpt-5"))
    (alert,) = [Alert.decode(alert.encode()) for alert in alerts]
    assert (
        alert.summary
        == "Slow latency_max 4.2 s 1 s 420 % 1m critical app=chat, model=gpt-5 chat gpt-5 blue {}"
    )
    assert alert.labels == {"app": "chat", "model": "gpt-5", "severity": "critical", "crew": "blue"}
    assert alert.annotations["runbook_url"] == "https://wiki.example/slow"
    assert (alert.kind, alert.unit, alert.severity, alert.window) == ("threshold", "ms", "critical", "1m")
    assert (alert.group, alert.notify) == ("test/Slow", {"slack": "#llm"})
    assert alert.heaviest == [
        Heavy("prompt", "answer@v7", 5, 14_000, 80),
        Heavy("session", "s2", 2, 9_000, 10),
        Heavy("session", "s1", 3, 5_000, 70),
    ]
    assert alert.exemplars == ["t1", "t2", "t3"]


FAILED = {
    "user": {"ann": (90, 9_000, 900)},
    "error": {"timeout in search": (87, 0, 0), "rate_limit in chat": (412, 0, 0)},
}


@pytest.mark.parametrize(
    "condition",
    [
        "outage: {by: [], window: 10s, min_calls: 10}",
        "threshold: {metric: error_share, above: 10%, window: 10s}",
        "threshold: {metric: errors, above: 3, window: 10s}",
    ],
)
def test_an_alert_about_errors_says_which_and_of_which_apps(tmp_path, condition):
    content = vitals(calls=600, errors=499, names=FAILED)
    (alert,) = walk(rule_engine(tmp_path, f"alert: A\n{condition}"), {FIRST: content}, FIRST + 1)
    alert = Alert.decode(alert.encode())
    assert alert.heaviest == [
        Heavy("error", "rate_limit in chat", 412, 0, 0),
        Heavy("error", "timeout in search", 87, 0, 0),
    ]


def test_an_alert_about_anything_else_says_who_spent_most(tmp_path):
    rule = "alert: A\nthreshold: {metric: cost, above: 5, window: 10s}"
    content = vitals(calls=600, errors=499, cost=6, names=FAILED)
    (alert,) = walk(rule_engine(tmp_path, rule), {FIRST: content}, FIRST + 1)
    assert alert.heaviest == [Heavy("user", "ann", 90, 9_000, 900)]


def test_a_rule_without_words_says_the_facts(tmp_path):
    alerts = walk(
        rule_engine(tmp_path, "alert: A\nthreshold: {metric: cost, above: 5}"),
        {FIRST: vitals(cost=6)},
        FIRST + 1,
    )
    assert alerts[0].summary == "cost over 5m is $6, the limit is $5: all calls"
    alerts = walk(rule_engine(tmp_path, f"alert: A\n{CONDITION}"), {FIRST: BAD}, FIRST + 1)
    assert alerts[0].summary == "90 % of the calls failed within 10s (limit 50 %): all calls"
    alerts = walk(
        rule_engine(tmp_path, "alert: A\nthreshold: {metric: latency_max, above: 5s, min_calls: 1}"),
        {FIRST: vitals(ms=(6000.0,))},
        FIRST + 1,
    )
    assert alerts[0].summary == "latency max over 5m is 6 s, the limit is 5 s: all calls"
    alerts = walk(
        rule_engine(tmp_path, "alert: A\nbudget: {limit: 5, per: day}"), {FIRST: vitals(cost=6)}, FIRST + 1
    )
    assert alerts[0].summary == "$6 of $5 per day is used (120 %): all calls"


def test_a_users_name_with_braces_is_only_text(tmp_path):
    text = (
        'alert: A\nthreshold: {metric: cost, above: 5, by: [user]}\nannotations: {summary: "{user} spends"}'
    )
    (alert,) = walk(
        rule_engine(tmp_path, text), {FIRST: vitals(cost=6)}, FIRST + 1, series=("{value}{0.__class__}",)
    )
    assert alert.summary == "{value}{0.__class__} spends"


def test_a_changed_or_removed_rule_ends_its_alert(tmp_path):
    state: dict = {}
    rules = "alert: A\nthreshold: {metric: errors, above: 3, window: 1m}\n"
    (alert,) = rule_engine(tmp_path, rules).advance("all", (), state, floor=FIRST + 1, closed=[(FIRST, BAD)])
    other = rule_engine(tmp_path, rules.replace("1m", "2m"))
    (over,) = other.advance("all", (), dict(state), floor=FIRST + 2)
    assert (over.status, over.episode, over.at) == ("resolved", alert.episode, (FIRST + 2) * PANE)
    assert over.reason == "the rule was changed"
    other = rule_engine(tmp_path, rules.replace("alert: A", "alert: B"))
    assert [alert.rule for alert in other.advance("all", (), state, floor=FIRST + 2)] == ["A"]
    assert state == {}


def test_an_idle_series_asks_for_nothing_and_leaves_nothing(tmp_path):
    watched = rule_engine(tmp_path, "alert: A\nthreshold: {metric: latency_p95, above: 1s, window: 5m}")
    state: dict = {}
    closed = [(FIRST, vitals(ms=(9000.0,)))]
    assert watched.advance("all", (), state, floor=FIRST + 1, closed=closed) == []
    assert watched.due(state) == FIRST + 31
    assert watched.advance("all", (), state, floor=FIRST + 31) == []
    assert state == {}


@pytest.mark.parametrize("ticks", [False, True])
def test_what_was_before_an_idle_time_is_forgotten_with_or_without_a_call_in_between(tmp_path, ticks):
    panes = {
        FIRST + at: vitals(cost=cost, names={"user": {name: (1, 5, 7)}})
        for at, cost, name in ((0, 1, "ann"), (9, 6, "bob"))
    }
    watched = rule_engine(tmp_path, "alert: A\nthreshold: {metric: cost, above: 5, window: 20s}")
    alert, _ = walk(watched, panes, FIRST + 20, ticks=ticks)
    assert alert.heaviest == [Heavy("user", "bob", 1, 5, 7)]


def test_the_state_stays_small(tmp_path):
    watched = rule_engine(tmp_path, "alert: A\nthreshold: {metric: latency_p95, above: 9s, window: 24h}")
    state: dict = {}
    content = vitals(ms=tuple(range(100, 5000, 50)))
    for at in range(24 * 60 * MINUTE):
        watched.advance("all", (), state, floor=FIRST + at + 1, closed=[(FIRST + at, content)])
    assert len(msgspec.msgpack.encode(state)) < 64_000


CONTENTS = st.sampled_from(
    [BAD, SOSO, GOOD]
    + [
        vitals(
            cost=cost, ms=(ms,) * 3, names={"user": {name: (3, 5, 7)}}, worst={"latency": ((int(ms), name),)}
        )
        for cost, ms, name in ((2, 4000.0, "ann"), (0.5, 100.0, "bob"), (4, 200.0, "cem"))
    ]
)
RULES = """groups:
- name: g
  rules:
  - alert: Errors
    threshold: {metric: error_share, above: 50%, window: 40s, min_calls: 5, resolve_below: 20%}
    for: 20s
    keep_firing_for: 30s
  - alert: Slow
    threshold: {metric: latency_p95, above: 1s, window: 1m, min_calls: 2}
    no_data: keep
  - alert: Quiet
    threshold: {metric: errors, below: 12, window: 30m}
    for: 45s
  - alert: Hour
    budget: {limit: 10, per: hour, thresholds: [50%, 100%]}
  - alert: Minutes
    budget: {limit: 6, rolling: 2m, thresholds: [50%, 100%]}
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return load_engine(folder, PANE)


@settings(max_examples=150)
@given(
    st.dictionaries(st.integers(0, 120), CONTENTS, max_size=60),
    st.sets(st.integers(0, 200)),
    st.booleans(),
    st.booleans(),
)
def test_any_batching_and_any_restart_give_the_same_alerts(several, contents, cuts, ticks, packed):
    panes = {FIRST + at: content for at, content in contents.items()}
    end = FIRST + 400 * MINUTE
    everything = rule_outputs(several, panes, end)
    split = rule_outputs(
        several, panes, end, cuts={FIRST + at for at in cuts}, packed=packed, ticks=ticks and not cuts
    )
    whole = alerts(everything)
    assert alerts(split, updates=True) == alerts(everything, updates=True)
    for rule in ("Hour", "Minutes"):
        told_of = [point for point in points(everything) if point.tags["rule"] == rule]
        assert [point for point in points(split) if point.tags["rule"] == rule] == told_of
    firing: dict[str, Alert] = {}
    for alert in whole:
        before = firing.pop(alert.episode, None)
        assert (alert.status == "resolved") <= (before is not None), "resolved only after firing"
        if alert.status == "firing":
            assert before is None or alert.level != before.level, "no firing after firing without news"
            firing[alert.episode] = alert
        assert before is None or alert.at > before.at
