"""`llmvitals alerts power`: what rules can see, of past calls or of a number of calls a day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmvitals.cli import app

RULES = """groups:
- name: seen
  rules:
  - {alert: Fails, regression: {metric: error_share, by: [app]}}
  - {alert: Slow, regression: {metric: latency_p95, by: [app]}}
  - {alert: Judged, regression: {metric: score.judge_mean}}
  - {alert: Limit, threshold: {metric: errors, above: 3, window: 1m}}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path / "rules.yaml"


def run(*words: str) -> str:
    found = CliRunner().invoke(app, ["alerts", "power", *words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_it_reads_calls_and_says_what_each_rule_sees_of_each_series(rules: Path, tmp_path: Path):
    apps = {"chat": 4, "search": 1}
    calls = [
        {"id": f"{name}{n}", "ts": 1_767_600_000_000 + n * 60_000, "model": "m", "app": name,
         "latency_ms": 500 + n % 100, "status": "error" if n % 50 == 0 else "ok", "input_tokens": 1, "output_tokens": 1}
        for n in range(1_440) for name, often in apps.items() if n % 4 < often
    ]  # fmt: skip
    file = tmp_path / "calls.jsonl"
    file.write_text("\n".join(map(json.dumps, calls)))
    rows = json.loads(run("--rules", str(rules), "--json", str(file)))
    seen = {(row["rule"], row["series"].get("app")): row for row in rows}
    assert set(seen) == {(rule, name) for rule in ("Fails", "Slow") for name in apps}
    busy, rare = seen["Fails", "chat"], seen["Fails", "search"]
    assert busy["calls_a_day"] == pytest.approx(1_440, rel=0.01)
    assert rare["calls_a_day"] == pytest.approx(360, rel=0.01)
    assert busy["base"] == pytest.approx(0.02, abs=0.001)
    assert busy["smallest_in_a_week"] < busy["smallest_in_a_day"]
    assert busy["smallest_in_a_week"] < rare["smallest_in_a_week"]
    assert busy["note"] == "too few calls to see +30%"
    assert seen["Slow", "chat"]["smallest_in_a_week"] < 0.4


def test_without_calls_it_takes_their_number_a_day(rules: Path):
    rows = {
        calls: {
            row["rule"]: row for row in json.loads(run("--rules", str(rules), "--calls", calls, "--json"))
        }
        for calls in ("500", "20000")
    }
    assert set(rows["500"]) == {"Fails", "Slow", "Judged"}
    for rule in ("Fails", "Slow", "Judged"):
        assert abs(rows["20000"][rule]["smallest_in_a_week"]) < abs(rows["500"][rule]["smallest_in_a_week"])
    assert rows["500"]["Judged"]["smallest_in_a_week"] < 0
    said = run("--rules", str(rules), "--calls", "500", "--base", "1%")
    assert "too few" in said


def test_neither_calls_nor_their_number_is_a_mistake(rules: Path):
    found = CliRunner().invoke(app, ["alerts", "power", "--rules", str(rules)])
    assert found.exit_code == 2
    assert "--calls" in found.output


def test_a_canary_says_what_its_first_metric_would_show(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(
        "groups:\n- name: seen\n  rules:\n"
        "  - {alert: New, canary: {on: prompt_version, metrics: [errors, cost], effect: 10%}}\n"
        "  - {alert: Dear, canary: {on: model, metrics: [cost, errors]}}\n"
    )
    sizes = {}
    for calls in ("20000", "3000"):
        words = "--rules", str(tmp_path / "rules.yaml"), "--calls", calls, "--base", "2%", "--json"
        (row,) = json.loads(run(*words))
        assert row["rule"] == "New"
        assert row["smallest_in_a_week"] < row["smallest_in_a_day"]
        sizes[calls] = row["smallest_in_a_week"]
    assert 0.1 < sizes["20000"] < sizes["3000"] < 2


@pytest.mark.parametrize(
    ("effect", "base", "note"),
    [
        ("10%", "100%", "it can't rise by 10%"),
        ("10%", "0%", "there was none, and nothing is so many times as often as none"),
        ("50%", "2%", "too few calls to see +75%"),
        ("50%", "5%", ""),
    ],
)
def test_a_canary_says_what_its_calls_can_show_at_all(tmp_path: Path, effect: str, base: str, note: str):
    (tmp_path / "rules.yaml").write_text(
        "groups:\n- name: seen\n  rules:\n"
        f"  - {{alert: New, canary: {{on: prompt_version, metrics: [errors, cost], effect: {effect}}}}}\n"
    )
    words = "--rules", str(tmp_path / "rules.yaml"), "--calls", "20000", "--base", base, "--json"
    (row,) = json.loads(run(*words))
    assert row["note"] == note
    assert (row["smallest_in_a_week"] is None) == (base in ("0%", "100%"))
