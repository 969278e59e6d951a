"""`llmvitals reprice`: what other prices would have made of past calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmvitals.cli import app

USAGE = {"input_tokens": 1_000_000, "output_tokens": 0}
MONDAY, TUESDAY = "2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z"
NEW = """
[models.gpt-4o]
input_mtok = 2
output_mtok = 10
[models.ours]
input_mtok = 1
output_mtok = 1
"""
CALLS: list[dict[str, Any]] = [
    {"id": "a", "ts": MONDAY, "team": "search", "provider": "openai", "model": "gpt-4o", **USAGE},
    {"id": "b", "ts": MONDAY, "team": "search", "provider": "openai", "model": "gpt-4o", **USAGE},
    {"id": "b", "ts": MONDAY, "team": "search", "provider": "openai", "model": "gpt-4o", **USAGE},
    {"id": "c", "ts": TUESDAY, "team": "chat", "provider": "openai", "model": "gpt-4o", **USAGE},
    {"id": "d", "ts": TUESDAY, "team": "chat", "model": "ours", **USAGE},
    {"id": "e", "ts": TUESDAY, "team": "chat", "model": "gpt-4o-mini", **USAGE},
    {"id": "f", "ts": TUESDAY, "team": "chat", "model": "gpt-4o", "cost_usd": 1.5, **USAGE},
    {"id": "g", "ts": TUESDAY, "team": "chat", "model": "gpt-4o", "cache_hit": True, **USAGE},
    {"id": "h", "ts": TUESDAY, "operation": "tool", "model": "", "team": "chat"},
]
# One answer that two instrumentors report is one call.
COPY = {"ts": MONDAY, "team": "search", "model": "gpt-4o", "response_id": "r", "latency_ms": 5, **USAGE}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("new.toml").write_text(NEW)
    calls = [*CALLS, COPY | {"id": "i", "instrumentor": "x"}, COPY | {"id": "j", "instrumentor": "y"}]
    Path("calls.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls) + "no json\n")


def run(*words: str) -> Result:
    env = {"COLUMNS": "200", "TERM": "dumb"}
    result = CliRunner(env=env).invoke(
        app, ["reprice", "--prices", "new.toml", "--file", "calls.jsonl", *words]
    )
    assert result.exit_code == 0, result.output
    return result


def test_what_changes_by_team_model_and_day() -> None:
    said = json.loads(run("--json").stdout)
    assert [
        (row["day"], row["team"], row["model"], row["calls"], row["old_usd"], row["new_usd"])
        for row in said["rows"]
    ] == [
        ("2026-11-23", "search", "gpt-4o", 3, 7.5, 6),
        ("2026-11-24", "chat", "gpt-4o", 3, 4, 3.5),
        ("2026-11-24", "chat", "ours", 1, 0, 1),
    ]
    total = said["total"]
    assert (total["calls"], total["changed"], said["refused"]) == (8, 5, 1)
    assert (total["unpriced_before"], total["unpriced_after"]) == (1, 0)


def test_given_costs_stay_unless_they_are_recomputed() -> None:
    said = json.loads(run("--json", "--recompute").stdout)
    (row,) = [row for row in said["rows"] if (row["team"], row["model"]) == ("chat", "gpt-4o")]
    # 2.5 + 1.5 + a hit in the gateway's cache → 2 + 2 + 0.
    assert (row["old_usd"], row["new_usd"], row["changed"]) == (4, 4, 2)


def test_the_tables() -> None:
    said = [" ".join(line.split()) for line in run().stdout.splitlines()]
    assert said[0] == ("8 calls, 5 cost something else: $11.65 → $10.65 (-8.6%); 1 → 0 without a price")
    assert "1 records or items could not be read" in said
    assert "search 3 $7.50 $6 -20.0%" in said
    assert "2026-11-24 chat ours 1 $0 $1 new" in said
