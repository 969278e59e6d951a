"""Rules whose series share a promise: a backtest counts the live ones as the worker does, day by day."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from backtests import HOUR, MINUTE, NOON, comparable, evaluate, folder, worker_alerts
from llmvitals.backtest import evaluator
from llmvitals.settings import Settings

RULES = """
groups:
- name: g
  labels: {severity: warning}
  rules:
  - alert: Drift
    drift: {by: [app], learn: 6h, min_calls: 5, false_alarms: 1000}
  - alert: Fails
    regression: {metric: error_share, by: [app], against: days, past: 3, min_calls: 5, false_alarms: 1000}
  - alert: Scores
    regression: {metric: score.helpful_mean, by: [app], against: days, past: 3, min_calls: 5, false_alarms: 1000}
  - alert: Sessions
    regression: {metric: error_share, by: [session], against: days, past: 3, min_calls: 5, false_alarms: 1000}
"""
DAYS = 5


def calls(seed: int) -> list[bytes]:
    """Apps come and go from day to day; every 50 hours all calls get worse for six hours. Some come late."""
    dice, lines, at = random.Random(seed), list[tuple[int, bytes]](), NOON
    while at < NOON + DAYS * 24 * HOUR:
        at += dice.randrange(1, 3 * MINUTE)
        hour = (at - NOON) // HOUR
        app = dice.choice(("chat", "chat", "chat", "mail", "rare", f"day{hour // 24}"))
        if app == "rare" and hour % 40 > 8:
            continue
        worse = hour % 50 > 43
        fields: dict[str, Any] = {
            "id": f"c{len(lines)}", "ts": at // 1_000, "app": app, "model": "gpt-5", "latency_ms": 500.0,
            "status": "error" if dice.random() < (0.6 if worse else 0.03) else "ok", "input_tokens": 100,
            "output_tokens": 10, "scores": {"helpful": dice.uniform(0.3, 0.4) + 0.5 * (not worse)},
            "session": f"s{dice.randrange(4) + hour // 9 % 5}",
        }  # fmt: skip
        if app != "mail":
            vector = [dice.gauss(3 * worse, 1), dice.gauss(0, 1)]
            fields["embedding"] = {"model": "m", "vector": vector}
        lines.append((len(lines) + 40 * (dice.random() < 0.01), json.dumps(fields).encode()))
    return [line for _, line in sorted(lines)]


@pytest.mark.parametrize(("seed", "partitions", "block", "most"), [(1, 1, 65_536, 100), (2, 3, 500, 0)])
def test_series_that_share_a_promise_have_the_alerts_of_the_workers_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, partitions: int, block: int, most: int
):
    """However many calls the worker reads at once: each change at its time, with its value."""
    settings, dice = Settings(alerts=folder(tmp_path / "rules", RULES)), random.Random(seed)
    monkeypatch.setattr(evaluator, "BLOCK", block)
    found, parts = evaluate(settings, calls(seed), dice, partitions=partitions, most=300)
    backtested = comparable(found.folders[0].alerts)
    assert backtested == comparable(worker_alerts(settings, parts, most=most))
    assert {rule for _, rule, *_ in backtested} >= {"Drift", "Fails", "Scores", "Sessions"}
