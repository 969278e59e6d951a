"""A metric is one entry of the registry: it is watched, stored, queried and shown without any other table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frames import alerts, points_of
from llmvitals.metrics.amount import NANO
from llmvitals.metrics.metric import SECONDS, Metric
from llmvitals.metrics.quantity import amount
from llmvitals.metrics.registry import METRICS
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Message
from llmvitals.settings import Settings
from llmvitals.store.query import query
from llmvitals.store.question import Question
from llmvitals.store.registry import store_sink
from llmvitals.store.sqlite.store import SqliteStore
from store_points import records

START = 1_780_304_400
"""A full hour, s."""
TOYS = {
    "toy_total": Metric(unit="tokens", text="tokens beside the cache", over=("input_tokens",), less=("cached_tokens",)),
    "toy_mean": Metric(
        unit="usd", text="money for an input token", over=("cost_nano",), under="input_tokens", per=NANO,
        counted="usage_calls", field="cost_usd_per_input_token",
    ),
    "toy_percentile": Metric(
        unit="ms", text="time that one call of four takes", sketch="latency_ms", q=0.75, field="latency_ms_p75"
    ),
    "toy_maximum": Metric(
        unit="ms", text="longest call", top="latency_us_max", per=1_000, counted="latency_count",
        field="toy_latency_ms_max",
    ),
}  # fmt: skip
LIMITS = {"toy_total": 1_000, "toy_mean": "0.00001", "toy_percentile": "100ms", "toy_maximum": "100ms"}
SHOWN = {"toy_total": "54K", "toy_mean": "$", "toy_percentile": "ms", "toy_maximum": "500 ms"}
RULE = """
groups:
- name: g
  rules:
  - alert: Toy
    threshold: {{metric: {metric}, above: {above}, window: 5m}}
"""


def calls() -> list[Logged]:
    """A call a second for ten minutes."""
    fields = {
        "model": "gpt-4o-mini",
        "app": "chat",
        "input_tokens": 100,
        "cached_tokens": 10,
        "cost_usd": 0.01,
    }
    events = [
        {"id": f"c{second}", "ts": (START + second) * 1_000, "latency_ms": 500, **fields}
        for second in range(600)
    ]
    return [Logged(number, event["ts"], json.dumps(event).encode()) for number, event in enumerate(events)]


@pytest.fixture(params=TOYS)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a toy metric, which is registered."""
    monkeypatch.setitem(METRICS, request.param, TOYS[request.param])
    return str(request.param)


@pytest.fixture
def settings(name: str, tmp_path: Path) -> Settings:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "toy.yaml").write_text(RULE.format(metric=name, above=LIMITS[name]))
    return Settings(alerts=tmp_path / "rules", sqlite=tmp_path / "vitals.sqlite", pane="10s")


@pytest.fixture
def messages(settings: Settings) -> list[Message]:
    stages = Pipeline.of(settings, 1, ["calls"]).alone({"calls": 1})
    return [*stages.feed("calls", 0, calls()), *stages.end("calls", 0)]


def value_of(name: str, vitals: dict[str, int]) -> float:
    """The metric over some sums of the calls."""
    return {
        "toy_total": vitals["input_tokens"] - vitals["cached_tokens"],
        "toy_mean": vitals["cost_nano"] / NANO / max(vitals["input_tokens"], 1),
    }.get(name, 500.0)


def test_a_registered_metric_is_watched_by_a_threshold_and_shown_with_its_unit(
    name: str, messages: list[Message]
):
    first = alerts(messages)[0]
    assert first.status == "firing"
    assert (first.metric, first.unit) == (name, TOYS[name].unit)
    assert {"tokens": " tokens", "usd": "$", "ms": "ms"}[first.unit] in amount(first.value, first.unit)


async def test_a_registered_metric_is_stored_and_queried(
    name: str, settings: Settings, messages: list[Message]
):
    points = points_of(messages)
    (*_, hour) = [
        p
        for p in points
        if p.measurement == "llm_calls" and p.tags["window"] == "1h" and p.tags["view"] == "app"
    ]
    assert hour.counts["calls"] == 600
    writer = SqliteStore(settings)
    await writer.start()
    await writer.take(0, records(points))
    await writer.stop()
    question = Question(name, by=("app",), since="2020-01-01T00:00:00Z")
    found = await query(settings, question, clock=lambda: START + 3_600)
    assert [row[-1] for row in found.rows] == [pytest.approx(value_of(name, hour.counts), rel=0.02)]
    assert store_sink(settings) is not None


def test_a_rate_with_a_field_is_refused():
    with pytest.raises(ValueError, match="a rate has no field"):
        Metric(unit="per_s", text="calls a second", over=("calls",), under=SECONDS, field="calls_per_s")
