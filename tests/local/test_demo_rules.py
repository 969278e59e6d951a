"""The demo's rules over its traffic: each thing that goes wrong is found, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmvitals.local.demo import RULES
from llmvitals.local.traffic import Script, company
from llmvitals.record.alert import Alert
from llmvitals.record.view import UNKNOWN, View
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import load_engine
from llmvitals.rules.files import shipped
from oracle import nano
from panes import PANE, SECOND, vitals
from panes import alerts as spoken

START = 1_700_006_400 * SECOND
LENGTH = 600 * SECOND
NEVER = Script(stuffing=2, slow=2, failing=2, recovered=2, runaway=2)


def alerts(
    script: Script | None = None, seed: int = 7, *, lost: str = "", rules: Path = RULES
) -> list[Alert]:
    """What the rules say of ten minutes of the demo's traffic, each pane summed up in the naive way.

    lost: an app whose calls don't say what they used.
    """
    engine = load_engine(rules, PANE)
    panes = defaultdict(lambda: defaultdict(list))
    for event in company(START, LENGTH, seed, script):
        call = {"status": "ok"} | event
        if call["app"] == lost:
            del call["input_tokens"]
        for view in engine.views:
            if all(wanted.accepts(call.get(name, UNKNOWN)) for name, wanted in view.where):
                home = view.home(tuple(call.get(name, UNKNOWN) for name in view.by))
                panes[view, home][call["ts"] * 1000 // PANE].append(call)
    said: list[Alert] = []
    for (view, home), calls in panes.items():
        closed = [(pane, held(view, calls[pane])) for pane in sorted(calls)]
        said += spoken(engine.advance(view.name, home, {}, floor=(START + LENGTH) // PANE, closed=closed))
    return said


def held(view: View, calls: list[dict[str, Any]]) -> Vitals:
    """A pane of a home, of a split view with what each of its arms held."""
    arms = defaultdict(list)
    for call in calls if view.split else ():
        arms[call.get(view.by[-1], UNKNOWN)].append(call)
    return replace(summed(calls), arms={arm: summed(arms[arm]) for arm in sorted(arms)})


def summed(calls):
    costs = [nano(call) for call in calls]
    return vitals(
        calls=len(calls),
        errors=sum(call["status"] == "error" for call in calls),
        ms=tuple(call["latency_ms"] for call in calls),
        tokens=tuple(call["input_tokens"] for call in calls if "input_tokens" in call),
        cost_nano=sum(cost or 0 for cost in costs),
        priced_calls=sum(cost is not None for cost in costs),
        unpriced_calls=sum(
            cost is None and call["status"] != "error" for call, cost in zip(calls, costs, strict=True)
        ),
        unknown_usage_calls=sum(cost is None for cost in costs),
        toxicity_count=len(calls),
        names={
            "session": {call["session"]: (1, cost or 0, 1) for call, cost in zip(calls, costs, strict=True)}
        },
    )


@pytest.fixture(scope="module")
def said():
    return alerts()


def first(said: list[Alert], rule: str, **labels: str) -> Alert:
    """The first alert of a rule about a series."""
    found = [alert for alert in said if alert.rule == rule and labels.items() <= alert.labels.items()]
    assert found, sorted({(alert.rule, tuple(alert.labels.items())) for alert in said})
    return found[0]


def test_the_prompt_version_that_stuffs_is_found(said):
    alert = first(said, "ContextStuffing", app="support-bot", prompt_version="v8")
    assert 0.25 < (alert.at - START) / LENGTH < 0.40
    assert alert.summary.startswith("answer@v8 of support-bot sends ")


def test_the_provider_that_gets_slow_and_then_fails_is_found(said):
    slow = first(said, "SlowAnswers", app="code-review")
    assert 0.40 < (slow.at - START) / LENGTH < 0.55
    fails = first(said, "ProviderFails", provider="anthropic")
    assert 0.55 < (fails.at - START) / LENGTH < 0.70
    assert fails.severity == "critical"


def test_the_agent_that_runs_away_is_found(said):
    alert = first(said, "RunawaySession", session="run-4711")
    assert 0.60 < (alert.at - START) / LENGTH < 0.75
    assert alert.severity == "critical"


def test_what_recovers_is_resolved(said):
    ended = [alert for alert in said if alert.status == "resolved" and alert.rule == "ProviderFails"]
    assert [alert.labels["provider"] for alert in ended] == ["anthropic"]
    assert 0.80 < (ended[0].at - START) / LENGTH < 0.95, "while the demo is still watched"


def test_calls_that_failed_need_no_price(said):
    assert "UnpricedCalls" not in {alert.rule for alert in said}


def test_answers_without_a_price_are_found():
    found = alerts(NEVER, lost="site-search")
    # The one names the cause; notify.yaml mutes the other under it.
    assert {alert.rule for alert in found} == {"UnknownUsage", "UnpricedCalls"}
    assert {alert.labels["model"] for alert in found} == {"gemini-2.5-flash"}


def test_nobody_else_is_blamed(said):
    blamed = {value for alert in said for name, value in alert.labels.items() if name != "severity"}
    culprits = {
        "support-bot", "answer", "v8",
        "anthropic", "code-review", "claude-sonnet-4-5",
        "run-4711", "u-13", "research-agent", "plan", "v2", "openai", "gpt-5",
    }  # fmt: skip
    assert blamed <= culprits
    assert {alert.labels["app"] for alert in said if alert.labels.get("provider") == "openai"} == {
        "research-agent"
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_ordinary_day_is_silent(seed):
    assert [alert.summary for alert in alerts(NEVER, seed)] == []


@pytest.mark.parametrize("rules", [shipped(), shipped() / "small"], ids=["large", "small"])
def test_the_starter_rules_are_silent_too(rules):
    assert [alert.summary for alert in alerts(NEVER, rules=rules)] == []


def test_an_outage_mutes_what_follows_from_it(said):
    fails = first(said, "ProviderFails", provider="anthropic")
    slow = first(said, "SlowAnswers", app="code-review")
    other = first(said, "SlowAnswers", app="research-agent")
    inhibitions = load_engine(RULES, PANE).rules.routing.inhibitions
    mutes = [
        [any(one.mutes(a.marks, b.marks) for one in inhibitions) for b in (fails, slow, other)]
        for a in (fails, slow)
    ]
    assert mutes == [[False, True, False], [False, False, False]]


def test_what_is_critical_does_not_wait(said):
    routing = load_engine(RULES, PANE).rules.routing
    waits = {alert.rule: routing.route(alert.marks).wait // SECOND for alert in said}
    assert waits["RunawaySession"] == waits["ProviderFails"] == 0
    assert waits["ContextStuffing"] == waits["SlowAnswers"] == 30
