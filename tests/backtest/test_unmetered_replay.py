"""From events to totals, points and alerts: calls that are billed and not metered, and outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmvitals.backtest.replay import replay_lines
from llmvitals.settings import Settings
from planted import SECRET

START = 1_795_500_000_000
RULES = """\
groups:
- name: all
  rules:
  - alert: Dear
    threshold: {metric: cost_per_outcome, above: 1, window: 10m, by: [team], min_calls: 2}
  - alert: Cancelled
    threshold: {metric: estimated_cost_high, above: 0.1, window: 10m, by: [team]}
  - alert: Spent
    budget: {metric: cost, limit: 3, per: day, by: [team], thresholds: [100%]}
"""
GPT = {"provider": "openai", "model": "gpt-4o"}
CANCELLED = {
    "status": "error", "error_type": "CancelledError", "input_bytes": 20_000, "output_bytes": 30, "max_output_tokens": 9_000,
}  # fmt: skip
LOW, HIGH = 2_000 * 1_250 + 3 * 10_000, (20_000 + 16) * 2_500 + 9_000 * 10_000


def lines(*groups: tuple[int, dict[str, Any]]) -> list[bytes]:
    """So many events of each kind, one a second."""
    events = [fields for number, fields in groups for _ in range(number)]
    made = (
        GPT | {"id": f"e{number}", "ts": START + 1_000 * number, "team": "red"} | fields
        for number, fields in enumerate(events)
    )
    return [json.dumps(event).encode() for event in made]


def test_estimates_and_outcomes_come_to_totals_series_and_alerts(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    found = replay_lines(
        lines(
            (3, {"cost_usd": 1.0, "input_tokens": 10, "output_tokens": 1}),
            (4, CANCELLED),
            (
                2,
                {"status": "error", "error_type": "RateLimitError", "input_bytes": 9, "max_output_tokens": 9},
            ),
            (1, {"stream": True, "output_text": SECRET}),
            (2, {"operation": "outcome", "outcome": "ticket_solved", "model": "", "trace_id": "t"}),
        ),
        Settings(alerts=tmp_path),
        until="10m",
    )
    totals = found["totals"]
    assert (found["dead_lettered"], totals["calls"], totals["errors"]) == (0, 10, 6)
    assert (totals["unmetered_calls"], totals["estimated_calls"]) == (5, 4)
    assert (totals["estimated_low_nano"], totals["estimated_high_nano"]) == (4 * LOW, 4 * HIGH)
    assert totals["cost_nano"] == 3 * 10**9, "an estimate is no cost"
    assert (totals["input_tokens"], totals["usage_calls"]) == (30, 3), "and no tokens"
    assert (totals["outcomes"], found["kinds"]["outcome"]) == (2, {"ok": 2})
    assert found["kinds"]["llm"]["ok"] == 4, "an outcome is no call"
    (team,) = [row for row in found["series"] if row["view"] == "team"]
    assert (team["estimated_high_nano"], team["outcomes"]) == (4 * HIGH, 2)
    values = {alert["rule"]: alert["value"] for alert in found["alerts"] if alert["status"] == "firing"}
    assert values == {"Dear": 1.5, "Cancelled": 4 * HIGH / 1e9, "Spent": 3.0}
    assert SECRET not in json.dumps(found)


def test_without_such_events_no_series_has_the_fields(tmp_path: Path) -> None:
    found = replay_lines(lines((3, {"input_tokens": 10, "output_tokens": 1})), Settings(alerts=tmp_path))
    new = {"unmetered_calls", "estimated_calls", "estimated_low_nano", "estimated_high_nano", "outcomes"}
    assert [new & row.keys() for row in found["series"]] == [set()] * len(found["series"])


def test_what_a_guardrail_stopped_is_not_billed(tmp_path: Path) -> None:
    blocked = {"guardrails": [{"name": "pii", "verdict": "block"}], "input_bytes": 9, "max_output_tokens": 9}
    named = {"finish_reason": "blocked_by_guardrail", "input_bytes": 9, "max_output_tokens": 9}
    totals = replay_lines(lines((2, blocked), (1, named)), Settings(alerts=tmp_path))["totals"]
    assert (totals["stopped_calls"], totals["unmetered_calls"], totals["estimated_calls"]) == (3, 0, 0)
