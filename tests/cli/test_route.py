"""`llmvitals alerts route`: where an alert goes, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmvitals.cli import app
from llmvitals.rules.engine import load_engine
from panes import PANE

RULES = """groups:
- name: g
  labels: {crew: red}
  rules:
  - {alert: AppErrors, threshold: {metric: errors, above: 4, by: [team, provider]}}
  - {alert: ProviderFails, outage: {by: [provider]}, labels: {severity: critical}}
  - {alert: Month, budget: {limit: 5, per: month, by: [team]}, notify: {slack: "#money"}}
"""
NOTIFY = """notify:
  slack: "#llm"
  group_wait: 30s
  routes:
  - match: [severity=critical]
    slack: "#oncall"
    group_wait: 0s
    group_by: [rule, provider]
  - match: ["team=~search|ads"]
    slack: "#search"
    mute: [nights]
  - match: [team=none]
  inhibit:
  - {source: [rule=ProviderFails], target: [rule!=ProviderFails], equal: [provider]}
  mute_times:
  - {name: nights, from: "22:00", to: "07:00"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "notify.yaml").write_text(NOTIFY)
    return tmp_path


def run(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code and the output."""
    done = CliRunner().invoke(
        app, ["alerts", "route", "--rules", str(folder), *words], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )
    return done.exit_code, done.output


def way(folder: Path, *words: str) -> dict[str, Any]:
    """What it says as JSON."""
    code, out = run(folder, *words, "--json")
    assert code == 0, out
    return json.loads(out)


def test_it_says_which_route_matches_and_why_no_other_does(folder):
    found = way(folder, "team=search", "severity=warning")
    notify = folder / "notify.yaml"
    assert found["channel"] == "#search"
    assert found["route"] == {
        "place": f"{notify}:9", "match": ['team=~"search|ads"'], "channel": "#search", "group_by": None,
        "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h", "mute": ["nights"],
    }  # fmt: skip
    assert found["passed"] == [
        {"place": f"{notify}:5", "matcher": 'severity="critical"', "why": "severity is warning"}
    ]


def test_it_says_what_the_worker_does(folder):
    """The route is the one that an alert with these labels takes."""
    routing = load_engine(folder, PANE).rules.routing
    for labels in (
        {"team": "search"},
        {"team": "x"},
        {"severity": "critical", "team": "ads"},
        {"crew": "red"},
    ):
        found = way(folder, *(f"{name}={value}" for name, value in labels.items()))
        assert found["route"]["place"] == routing.route(labels).place


def test_a_rule_brings_its_labels_and_its_channel(folder):
    found = way(folder, "rule=Month", "team=search")
    assert found["labels"] == {
        "crew": "red", "rule": "Month", "kind": "budget", "severity": "warning", "team": "search",
    }  # fmt: skip
    assert (found["channel"], found["channel_of"]) == ("#money", f"rule {folder / 'rules.yaml'}:7")
    assert found["route"]["channel"] == "#search"
    assert way(folder, "rule=ProviderFails", "provider=openai")["channel"] == "#oncall"
    assert way(folder, "rule=AppErrors", "team=x")["missing"] == ["provider"]


@pytest.mark.parametrize(("at", "holds"), [("2026-11-24T23:00:00Z", True), ("2026-11-24T12:00:00Z", False)])
def test_it_says_whether_a_mute_time_holds(folder, at, holds):
    assert way(folder, "team=ads", "--at", at)["mute_times"] == [{"name": "nights", "holds": holds}]
    assert ("nothing is sent" in run(folder, "team=ads", "--at", at)[1]) == holds


def test_it_names_the_inhibitions_that_may_mute_it(folder):
    (found,) = way(folder, "rule=AppErrors", "team=x", "provider=openai")["inhibited_by"]
    assert found == {
        "place": f"{folder / 'notify.yaml'}:14", "source": ['rule="ProviderFails"'],
        "equal": {"provider": "openai"}, "rules": ["ProviderFails"],
    }  # fmt: skip
    assert way(folder, "rule=ProviderFails", "provider=openai")["inhibited_by"] == []


def test_labels_that_no_alert_has_are_named(folder):
    assert way(folder, "taem=search", "crew=blue")["unknown"] == {
        "taem": "no alert has the label taem: did you mean team?",
        "crew": "no rule has the crew 'blue': write one of red",
    }
    code, out = run(folder, "taem=search")
    assert code == 0
    assert "no alert has the label taem: did you mean team?" in out


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["team"], "write NAME=VALUE"),
        (["severity=page"], "did you mean critical?"),
        (["kind=budgets"], "did you mean budget?"),
        (["rule=AppEror"], "did you mean AppErrors?"),
        (["rule=AppErrors", "kind=budget"], "kind of AppErrors is threshold, not budget"),
    ],
)
def test_a_wrong_label_is_a_wrong_use(folder, words, cure):
    code, out = run(folder, *words)
    assert code == 2
    assert cure in " ".join(out.replace("│", " ").split())


def test_without_labels_all_routes_are_shown_with_their_rules(folder):
    found = way(folder)
    assert [(one["channel"], one["rules"]) for one in found["routes"]] == [
        ("#oncall", ["ProviderFails"]),
        ("#search", ["AppErrors", "Month"]),
        ("#llm", ["AppErrors", "Month"]),
        ("#llm", ["AppErrors", "Month"]),
    ]
    assert found["own"] == {"Month": "#money"}
    code, out = run(folder)
    assert code == 0
    assert "Month names a channel of its own, which goes first: #money" in out


def test_without_a_section_there_is_one_route(folder):
    (folder / "notify.yaml").unlink()
    assert [one["rules"] for one in way(folder)["routes"]] == [["AppErrors", "ProviderFails", "Month"]]
    assert way(folder, "team=a")["channel"] == "(default)"


def test_an_outage_that_may_become_critical_counts_for_both(folder):
    (folder / "rules.yaml").write_text(RULES.replace(", labels: {severity: critical}", ""))
    assert [one["rules"] for one in way(folder)["routes"]][0::3] == [
        ["ProviderFails"],
        ["AppErrors", "ProviderFails", "Month"],
    ]
