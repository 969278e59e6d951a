"""What the doctor says of calls without a price."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmvitals.cli.doctor import Finding, examine
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Topic
from llmvitals.record.point import Point
from llmvitals.report.run import report, report_plain
from llmvitals.settings import Settings
from llmvitals.store.sqlite.store import SqliteStore

USAGE = {"input_tokens": 100, "output_tokens": 5}
GPT = {"provider": "openai", "model": "gpt-4o"}


async def prices_after(calls: Sequence[dict[str, Any]], folder: Path) -> tuple[list[Point], Finding]:
    """Send calls of two hours ago through all stages to a store; their points, and what the doctor says."""
    settings = Settings(sqlite=folder / "vitals.db", alerts=folder, brokers="127.0.0.1:9")
    then = int(time.time() * 1_000) - 7_200_000
    stages = Pipeline.of(settings, 1, ["calls"]).alone({"calls": 1})
    records = [
        Logged(number, then, json.dumps({"id": f"c{number}", "ts": then} | call).encode())
        for number, call in enumerate(calls)
    ]
    messages = [*stages.feed("calls", 0, records), *stages.end("calls", 0)]
    assert all(message.topic is not Topic.DEAD_LETTERS for message in messages)
    points = [Point.decode(message.value or b"") for message in messages if message.topic is Topic.VITALS]
    store = SqliteStore(settings)
    await store.write(points)
    await store.stop()
    (finding,) = [finding for finding in await examine(settings) if finding.what == "prices"]
    return points, finding


async def test_calls_with_a_price_are_fine(tmp_path: Path) -> None:
    _, finding = await prices_after([GPT | USAGE | {"service_tier": "priority"}, GPT | USAGE], tmp_path)
    assert (finding.state, finding.found) == ("fine", "every call of the last day has a price")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (USAGE | {"service_tier": "flex"}, "unknown_tier_calls"),
        (USAGE | {"service_tier": "other"}, "unknown_tier_calls"),
        ({"input_tokens": 100}, "partial_usage_calls"),
        (USAGE | {"cached_tokens": 101}, "inconsistent_usage_calls"),
        ({}, "unknown_usage_calls"),
    ],
)
async def test_a_call_without_a_price_is_seen_with_its_reason(
    tmp_path: Path, call: dict[str, Any], reason: str
) -> None:
    points, finding = await prices_after([GPT | call, GPT | USAGE], tmp_path)
    assert finding.state == "warning"
    assert finding.found.endswith(f"without a price: openai/gpt-4o 1 of 2 ({reason} 1)")
    assert "LLMVITALS_PRICES" in finding.cure
    (*_, hour) = [point for point in points if point.tags == {"view": "all", "window": "1h"}
                  and point.measurement == "llm_calls"]  # fmt: skip
    assert (hour.counts["calls"], hour.counts["unpriced_calls"], hour.counts[reason]) == (2, 1, 1)
    assert hour.measures["cost_usd"] == pytest.approx(100 * 2.5e-6 + 5 * 1e-5)


async def test_the_models_with_the_most_such_calls_are_named_first(tmp_path: Path) -> None:
    calls = [{"model": f"ours-{number}", **USAGE} for number in range(7) for _ in range(number)]
    _, finding = await prices_after(calls, tmp_path)
    assert "without a price: unknown/ours-6 6 of 6; unknown/ours-5 5 of 5;" in finding.found
    assert finding.found.endswith("; unknown/ours-2 2 of 2; 1 more models")


async def test_an_unknown_model_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    calls = [{"provider": "openai", "model": "gpt-4o-minni", **USAGE}, {"model": "zq", **USAGE}]
    _, finding = await prices_after(calls, tmp_path)
    assert "openai/gpt-4o-minni 1 of 1 (nearest known: gpt-4o-mini)" in finding.found
    assert finding.found.endswith("unknown/zq 1 of 1") or "unknown/zq 1 of 1;" in finding.found
    settings = Settings(sqlite=tmp_path / "vitals.db", alerts=tmp_path)
    told = report_plain(await report(settings, "2d"))["unpriced"]
    assert {row["name"]: (row["unpriced"], row["nearest"]) for row in told} == {
        "openai/gpt-4o-minni": (1, "gpt-4o-mini"),
        "unknown/zq": (1, None),
    }


async def test_without_a_store_nothing_is_claimed(tmp_path: Path) -> None:
    settings = Settings(alerts=tmp_path, brokers="127.0.0.1:9")
    (finding,) = [finding for finding in await examine(settings) if finding.what == "prices"]
    assert finding.found == "unknown: no store is there yet"
