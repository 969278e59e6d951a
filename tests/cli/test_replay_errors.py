"""A replay of an outage says which errors there are, and in which apps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmvitals.cli import app
from llmvitals.local.demo import RULES

START = 1_767_600_000_000


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Ten minutes in which half of the calls of two apps fail from the fifth on."""
    calls = []
    for second in range(600):
        for name, error in (("chat", "rate_limit"), ("search", "timeout"), ("chat", None)):
            call = {"id": f"{name}{error}{second}", "ts": START + second * 1_000, "model": "m", "app": name}
            failed = error and second >= 300 and (error == "rate_limit" or second % 3 == 0)
            fault = {"status": "error", "error_type": error} if failed else {}
            calls.append(call | {"provider": "openai", "user": "ann", "latency_ms": 100} | fault)
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, calls)))
    return file


def replayed(events: Path, *words: str) -> str:
    env = {"COLUMNS": "200", "NO_COLOR": "1"}
    done = CliRunner().invoke(app, ["replay", str(events), "--rules", str(RULES), *words], env=env)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_records_and_the_messages_name_errors_and_apps(events):
    said = json.loads(replayed(events, "--json"))["alerts"]
    last = {alert["rule"]: alert["heaviest"] for alert in said if alert["status"] == "firing"}
    assert [(row["kind"], row["name"]) for row in last["ProviderFails"]] == [
        ("error", "rate_limit in chat"),
        ("error", "timeout in search"),
    ]
    chat, search = (row["calls"] for row in last["ProviderFails"])
    assert search * 2 < chat <= 300
    assert {row["name"] for row in last["AppErrors"]} <= {"rate_limit in chat", "timeout in search"}
    shown = replayed(events, "--messages")
    assert "Errors, last 20 min" in shown
    assert "rate_limit in chat · " in shown
    assert "Top spenders" not in shown
