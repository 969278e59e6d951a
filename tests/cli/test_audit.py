"""`llmvitals audit`: whether past calls are complete, and agree with what is billed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmvitals.audit.sequences import Sequences
from llmvitals.cli import app
from llmvitals.errors import ConfigError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MIDNIGHT = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
GPT = {
    "ts": NOON.isoformat(),
    "provider": "openai",
    "model": "gpt-4o",
    "input_tokens": 1_000,
    "output_tokens": 10,
}
CLAUDE = {
    "ts": NOON.isoformat(), "provider": "anthropic", "model": "claude-sonnet-4-5", "input_tokens": 1_000,
    "cached_tokens": 600, "cache_write_tokens": 300, "output_tokens": 10,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def audited(calls: list[dict[str, Any]], *words: str) -> Result:
    Path("calls.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    env = {"COLUMNS": "200", "TERM": "dumb"}
    return CliRunner(env=env).invoke(app, ["audit", "--file", "calls.jsonl", *words])


def found(calls: list[dict[str, Any]], *words: str) -> tuple[int, dict[str, Any]]:
    result = audited(calls, "--json", *words)
    return result.exit_code, json.loads(result.stdout)


def openai(**result: Any) -> Path:
    """A page of OpenAI's usage of completions."""
    usage = {
        "object": "organization.usage.completions.result", "input_tokens": 20_000, "output_tokens": 200,
        "input_cached_tokens": 0, "num_model_requests": 20, "project_id": None, "model": "gpt-4o",
    }  # fmt: skip
    bucket = {
        "object": "bucket",
        "start_time": MIDNIGHT,
        "end_time": MIDNIGHT + 86_400,
        "results": [usage | result],
    }
    path = Path("openai.json")
    path.write_text(json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None}))
    return path


def test_ids_that_are_missing_or_came_twice() -> None:
    calls = [GPT | {"id": f"search-{number:03}"} for number in range(20) if number not in (4, 17)]
    code, said = found([*calls, calls[0], GPT | {"id": "lone-7"}])
    assert code == 1
    assert (said["calls"], said["doubled"], said["doubled_ids"]) == (19, 1, {"search-000": 1})
    (sequence,) = said["sequences"]
    assert (sequence["missing"], sequence["examples"]) == (2, ["search-004", "search-017"])
    assert found([GPT | {"id": f"search-{number}"} for number in range(20)])[0] == 0


def test_ids_at_random_are_no_sequence() -> None:
    sequences = Sequences()
    for number in range(0, 10_000, 7):
        sequences.add(f"call-{number}")
        sequences.add(f"{number * 7_919:08x}")
    assert sequences.found() == []


def test_calls_without_usage_and_given_costs() -> None:
    dear = {"cost_usd": 0.0052}
    code, said = found([
        GPT | {"id": "a"} | dear, GPT | {"id": "b"}, {"id": "c", "ts": NOON.isoformat(), "model": "gpt-4o"},
        {"id": "d", "ts": NOON.isoformat(), "model": "gpt-4o", "input_tokens": 3},
        {"id": "e", "ts": NOON.isoformat(), "model": "gpt-4o", "status": "error"},
        {"id": "f", "ts": NOON.isoformat(), "model": "", "operation": "tool"},
    ])  # fmt: skip
    assert code == 0
    assert said["without_usage"] == {"unknown/gpt-4o": 2}
    assert said["given"] == [
        {"model": "openai/gpt-4o", "calls": 1, "given_usd": 0.0052, "computed_usd": 0.0026}
    ]


@pytest.mark.parametrize(("billed", "code"), [(20_000, 0), (20_100, 0), (19_000, 1), (25_000, 1)])
def test_openais_usage_within_a_tolerance(billed: int, code: int) -> None:
    calls = [GPT | {"id": f"{name}"} for name in "abcdefghijklmnopqrst"]
    ended, said = found(calls, "--bill", str(openai(input_tokens=billed)))
    assert ended == code
    total = {row["measure"]: (row["billed"], row["counted"]) for row in said["bill"] if not row["day"]}
    assert total == {
        "requests": (20, 20), "input_tokens": (billed, 20_000), "cached_tokens": (0, 0),
        "output_tokens": (200, 200),
    }  # fmt: skip
    assert {row["day"] for row in said["bill"]} == {None, "2026-11-23"}
    assert found(calls, "--bill", str(openai(input_tokens=billed)), "--tolerance", "30")[0] == 0


def test_calls_that_are_not_billed_are_seen() -> None:
    calls = [GPT | {"id": "a"}, GPT | {"id": "b", "model": "gpt-4o-mini"}]
    bill = openai(input_tokens=1_000, output_tokens=10, num_model_requests=1)
    code, said = found(calls, "--bill", str(bill))
    assert code == 1
    assert [
        (row["billed"], row["counted"]) for row in said["bill"]
        if (row["model"], row["measure"]) == ("gpt-4o-mini", "requests")
    ] == [(0, 1)]  # fmt: skip


def test_anthropics_usage_and_costs() -> None:
    usage = {
        "uncached_input_tokens": 200, "cache_read_input_tokens": 1_200, "output_tokens": 20,
        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 600},
        "model": "claude-sonnet-4-5", "server_tool_use": {"web_search_requests": 0},
    }  # fmt: skip
    cost = {"currency": "USD", "amount": "0.3510", "description": None, "model": None}
    bucket = {"starting_at": "2026-11-23T00:00:00Z", "ending_at": "2026-11-24T00:00:00Z"}
    Path("anthropic.json").write_text(
        json.dumps([{"data": [bucket | {"results": [row]}], "has_more": False} for row in (usage, cost)])
    )
    code, said = found([CLAUDE | {"id": "a"}, CLAUDE | {"id": "b"}], "--bill", "anthropic.json")
    total = {row["measure"]: (row["billed"], row["counted"]) for row in said["bill"] if not row["day"]}
    assert total == {
        "input_tokens": (2_000, 2_000), "cached_tokens": (1_200, 1_200), "output_tokens": (20, 20),
        # 100 at $3, 600 at $0.30, 300 at $3.75 and 10 at $15, twice.
        "cost_usd": (0.00351, 0.00351),
    }  # fmt: skip
    assert code == 0


def test_the_tables() -> None:
    calls = [GPT | {"id": f"search-{number}", "cost_usd": 0.0026} for number in range(20) if number != 4]
    result = audited([*calls, calls[0]], "--bill", str(openai()))
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert {
        "19 calls of models",
        "1 events came again with the same id, such as search-0: each id counts once",
        "1 ids are missing from 1 numbered sequences",
        "1 between 0 and 19: search-4",
        "openai/gpt-4o 19 $0.049 $0.049 +0.00%",
        "openai all input tokens 20,000 19,000 -5.00%",
        "openai 2026-11-23 gpt-4o requests 20 19 -5.00%",
    } <= set(said), said


@pytest.mark.parametrize("text", ["[", "{}", '{"data": [{"results": [{"input_tokens": 1}]}]}', "[3]"])
def test_what_is_no_bill_is_named(text: str) -> None:
    Path("bill.json").write_text(text)
    result = audited([GPT | {"id": "a"}], "--bill", "bill.json")
    assert isinstance(result.exception, ConfigError)
    assert "bill.json is no export" in str(result.exception)
