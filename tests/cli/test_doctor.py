"""What the doctor says of calls without a price."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from frames import points_of
from llmvitals.cli.doctor import Finding, examine
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Topic
from llmvitals.record.point import Point
from llmvitals.report.run import report, report_plain
from llmvitals.settings import Settings
from llmvitals.store.sqlite.store import SqliteStore
from store_points import records

USAGE = {"input_tokens": 100, "output_tokens": 5}
GPT = {"provider": "openai", "model": "gpt-4o"}
UNBOUNDED = "1 may be billed and are not metered, without an estimate"


async def prices_after(calls: Sequence[dict[str, Any]], folder: Path) -> tuple[list[Point], Finding]:
    """Send calls of two hours ago through all stages to a store; their points, and what the doctor says."""
    settings = Settings(sqlite=folder / "vitals.db", alerts=folder, brokers="127.0.0.1:9")
    then = int(time.time() * 1_000) - 7_200_000
    stages = Pipeline.of(settings, 1, ["calls"]).alone({"calls": 1})
    events = [
        Logged(number, then, json.dumps({"id": f"c{number}", "ts": then} | call).encode())
        for number, call in enumerate(calls)
    ]
    messages = [*stages.feed("calls", 0, events), *stages.end("calls", 0)]
    assert all(message.topic is not Topic.DEAD_LETTERS for message in messages)
    points = points_of(messages)
    store = SqliteStore(settings)
    await store.take(0, records(points))
    await store.stop()
    (finding,) = [finding for finding in await examine(settings) if finding.what == "prices"]
    return points, finding


async def test_calls_with_a_price_are_fine(tmp_path: Path) -> None:
    _, finding = await prices_after([GPT | USAGE | {"service_tier": "priority"}, GPT | USAGE], tmp_path)
    assert (finding.state, finding.found) == ("fine", "every call of the last day is metered and has a price")


@pytest.mark.parametrize(
    ("call", "reason", "billed"),
    [
        (USAGE | {"service_tier": "flex"}, "unknown_tier_calls", ""),
        (USAGE | {"service_tier": "other"}, "unknown_tier_calls", ""),
        ({"input_tokens": 100}, "partial_usage_calls", f", {UNBOUNDED}"),
        (USAGE | {"cached_tokens": 101}, "inconsistent_usage_calls", ""),
        ({}, "unknown_usage_calls", f", {UNBOUNDED}"),
    ],
)
async def test_a_call_without_a_price_is_seen_with_its_reason(
    tmp_path: Path, call: dict[str, Any], reason: str, billed: str
) -> None:
    points, finding = await prices_after([GPT | call, GPT | USAGE], tmp_path)
    assert finding.state == "warning"
    assert finding.found.endswith(f"not metered: openai/gpt-4o 1 of 2 ({reason} 1{billed})")
    assert "LLMVITALS_PRICES" in finding.cure
    (*_, hour) = [point for point in points if point.tags == {"view": "all", "window": "1h"}
                  and point.measurement == "llm_calls"]  # fmt: skip
    assert (hour.counts["calls"], hour.counts["unpriced_calls"], hour.counts[reason]) == (2, 1, 1)
    assert hour.measures["cost_usd"] == pytest.approx(100 * 2.5e-6 + 5 * 1e-5)


async def test_cancelled_calls_are_named_with_what_they_may_cost(tmp_path: Path) -> None:
    cancelled: dict[str, Any] = {"status": "error", "error_type": "CancelledError"}
    known: dict[str, Any] = {"input_bytes": 40_000, "output_bytes": 0, "max_output_tokens": 1_000}
    limited: dict[str, Any] = {"status": "error", "error_type": "RateLimitError"}
    calls = [cancelled | known, cancelled, limited | known, USAGE]
    _, finding = await prices_after([GPT | call for call in calls], tmp_path)
    billed = "2 may be billed and are not metered, 1 of them for $0.005 to $0.11"
    assert finding.found.endswith(f"openai/gpt-4o 0 of 4 (unknown_usage_calls 3, {billed})")
    assert "stream_options.include_usage" in finding.cure
    settings = Settings(sqlite=tmp_path / "vitals.db", alerts=tmp_path)
    (row,) = report_plain(await report(settings, "2d"))["unpriced"]
    low, high = 4_000 * 1_250, (40_000 + 16) * 2_500 + 1_000 * 10_000
    assert (row["unmetered"], row["estimated"]) == (2, 1)
    assert (row["estimated_low"], row["estimated_high"]) == (low, high)


async def test_the_models_with_the_most_such_calls_are_named_first(tmp_path: Path) -> None:
    calls = [{"model": f"ours-{number}", **USAGE} for number in range(7) for _ in range(number)]
    _, finding = await prices_after(calls, tmp_path)
    assert "not metered: unknown/ours-6 6 of 6; unknown/ours-5 5 of 5;" in finding.found
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
