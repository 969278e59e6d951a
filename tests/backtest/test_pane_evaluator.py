"""`alerts backtest` of rules that read vectors, arms and scores: the worker's alerts, whatever the batches."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from backtests import MINUTE, NOON, SECOND, comparable, evaluate, folder, worker_alerts
from llmvitals.backtest import evaluator
from llmvitals.backtest.evaluator import Evaluator, in_columns
from llmvitals.rules.kinds import KINDS
from llmvitals.settings import Settings

RULES = """
groups:
- name: g
  labels: {severity: warning}
  rules:
  - alert: Scores
    threshold: {metric: score.helpful_mean, below: 0.6, by: [app], window: 5m, min_calls: 12}
  - alert: Changed
    change: {by: [app], series: 1}
  - alert: Slower
    change: {metrics: [latency_p50], series: 1}
  - alert: Canary
    canary: {on: prompt_version, by: [app]}
  - alert: Drift
    drift: {by: [app], learn: 1h, series: 1, false_alarms: 100}
  - alert: Usual
    regression: {metric: error_share, by: [app], against: days, past: 3, series: 1, min_calls: 10}
  - alert: Fails
    threshold: {metric: error_share, above: 50%, by: [app], window: 1m, min_calls: 8}
  - alert: Late
    threshold: {metric: late_calls, above: 4, by: [app], window: 5m}
"""
LENGTH = 180
TURN = 125
"""Minutes, and the one in which everything gets worse."""


def calls(seed: int) -> list[bytes]:
    """A call every second or two; from TURN on another prompt version is slower, fails and speaks otherwise.

    One of a hundred comes late.
    """
    dice, lines, at = random.Random(seed), list[tuple[int, bytes]](), NOON
    while at < NOON + LENGTH * MINUTE:
        at += dice.choice((1, 1, 2)) * SECOND
        worse = at >= NOON + TURN * MINUTE
        version = "v2" if worse and dice.random() < 0.5 else "v1"
        topic = [3.0, 0.0] if worse and version == "v2" else [0.0, 3.0]
        fields: dict[str, Any] = {
            "id": f"c{len(lines)}", "ts": at // 1_000, "model": "gpt-5", "app": "chat", "prompt_name": "p",
            "prompt_version": version, "latency_ms": dice.lognormvariate(6, 0.3) * (3 if version == "v2" else 1),
            "status": "error" if dice.random() < (0.4 if version == "v2" else 0.02) else "ok",
            "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.001 * dice.uniform(0.8, 1.2),
            "scores": {"helpful": 0.2 if version == "v2" else 0.8},
            "embedding": {
                "model": "m", "vector": [dice.gauss(mean, 1) for mean in (*topic, 0, 0, 0, 0)],
            },
        }  # fmt: skip
        late = 120 * (dice.random() < 0.01)
        lines.append((len(lines) + late, json.dumps(fields).encode()))
    return [line for _, line in sorted(lines)]


@pytest.mark.parametrize(("seed", "partitions", "block"), [(1, 1, 65_536), (2, 3, 900)])
def test_of_every_kind_the_alerts_are_those_of_the_workers_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, partitions: int, block: int
):
    monkeypatch.setattr(evaluator, "BLOCK", block)
    rules, dice = folder(tmp_path / "rules", RULES), random.Random(seed)
    settings = Settings(alerts=rules)
    found, parts = evaluate(
        settings, calls(seed), dice, partitions=partitions, most=900, processes=partitions
    )
    expected = comparable(worker_alerts(settings, parts))
    assert comparable(found.folders[0].alerts) == expected
    fired = {rule for _, rule, *_ in expected}
    assert fired >= {"Scores", "Changed", "Slower", "Canary", "Drift", "Late"}, fired


def test_rules_that_read_only_sums_and_bins_are_evaluated_on_columns(tmp_path: Path):
    found = Evaluator.of(Settings(), [folder(tmp_path / "rules", RULES)], {"calls": 1})
    fast = {rule.name for rule in found.folders[0].pipeline.engine.rules.rules if in_columns(rule)}
    assert fast == {"Slower", "Usual", "Fails"}
    assert [kind for kind in KINDS if kind not in RULES] == ["budget", "outage", "absence", "runaway"]
