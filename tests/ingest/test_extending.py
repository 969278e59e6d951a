"""A format, and a vocabulary of span attributes, is one object and one registration: its calls become points."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path

import msgspec
import pytest

from frames import points_of
from llmvitals.errors import ConfigError
from llmvitals.ingest import FORMATS, decode
from llmvitals.ingest.otlp import DIALECTS
from llmvitals.ingest.span import Dialect, Reading, Span
from llmvitals.ingest.values import Context, Decoded, Format, call
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Topic
from llmvitals.record.point import Point
from llmvitals.settings import Settings

START = 1_780_304_400_000
"""A full hour, ms."""


def toy_knows(names: Container[str]) -> bool:
    return "toy_call" in names


def toy_read(value: bytes, _: Context) -> Decoded:
    fields = msgspec.json.decode(value)
    return Decoded(
        [
            call(
                {
                    "id": fields["toy_call"],
                    "ts": fields["when"],
                    "model": "gpt-4o-mini",
                    "app": fields["who"],
                    "input_tokens": fields["in"],
                    "output_tokens": fields["out"],
                }
            )
        ]
    )


TOY_FORMAT = Format(toy_knows, toy_read)


def toy_record(number: int) -> bytes:
    """A call a second, of 100 + number input tokens."""
    when = START + number * 1_000
    return json.dumps(
        {"toy_call": f"c{number}", "when": when, "who": "chat", "in": 100 + number, "out": 5}
    ).encode()


def toy_span_call(span: Span) -> tuple[Reading, ...] | None:
    if span.get("toy.kind") != "llm":
        return None
    fields = {
        "operation": "chat",
        "response_id": span.text("toy.id"),
        "model": span.text("toy.model"),
        "input_tokens": span.count("toy.in"),
        "output_tokens": span.count("toy.out"),
        "status": "ok",
    }
    return (Reading("llm", fields),)


TOY_DIALECT = Dialect(
    ("toy.",),
    toy_span_call,
    lambda span: {"input_text": span.text("toy.prompt")},
)


def toy_span(number: int) -> bytes:
    """An export with the same call as `toy_record`, and a span that is no call."""
    end = (START + number * 1_000) * 1_000_000
    attributes = {
        "toy.kind": "llm",
        "toy.model": "gpt-4o-mini",
        "toy.id": f"r{number}",
        "toy.prompt": "hello",
    }
    counts = {"toy.in": 100 + number, "toy.out": 5}
    span = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "toy",
        "startTimeUnixNano": str(end - 10**9),
        "endTimeUnixNano": str(end),
        "attributes": [
            *({"key": key, "value": {"stringValue": value}} for key, value in attributes.items()),
            *({"key": key, "value": {"intValue": str(value)}} for key, value in counts.items()),
        ],
    }
    other = span | {"spanId": f"{number + 1:016x}", "attributes": []}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "chat"}}]}
    return json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": [span, other]}]}]}
    ).encode()


def hour_of(values: list[bytes], settings: Settings) -> Point:
    """Send the records through both stages; the point of the app in the hour."""
    stages = Pipeline.of(settings, 1, ["calls"]).alone({"calls": 1})
    records = [Logged(number, START + number * 1_000, value) for number, value in enumerate(values)]
    messages = [*stages.feed("calls", 0, records), *stages.end("calls", 0)]
    assert all(message.topic is not Topic.DEAD_LETTERS for message in messages)
    points = points_of(messages)
    wanted = {"view": "app", "window": "1h", "app": "chat"}
    (*_, hour) = [point for point in points if (point.measurement, point.tags) == ("llm_calls", wanted)]
    return hour


def check(hour: Point) -> None:
    assert hour.counts["calls"] == 20
    assert hour.counts["input_tokens"] == sum(range(100, 120))
    assert hour.counts["output_tokens"] == 100
    assert hour.counts["unpriced_calls"] == 0
    assert hour.measures["cost_usd"] > 0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "rules").mkdir()
    return Settings(alerts=tmp_path / "rules", pane="10s")


def test_the_calls_of_a_registered_format_become_points(monkeypatch: pytest.MonkeyPatch, settings: Settings):
    monkeypatch.setitem(FORMATS, "toy", TOY_FORMAT)
    check(hour_of([toy_record(number) for number in range(20)], settings))


def test_a_registered_format_can_be_named_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
):
    monkeypatch.setitem(FORMATS, "toy", TOY_FORMAT)
    named = settings.model_copy(update={"formats": {"calls": "toy"}})
    check(hour_of([toy_record(number) for number in range(20)], named))


def test_a_format_that_is_not_registered_is_refused_with_the_nearest_name(settings: Settings):
    named = settings.model_copy(update={"formats": {"calls": "litelm"}})
    with pytest.raises(
        ConfigError, match=r"formats: calls: there is no format 'litelm': did you mean litellm\?"
    ):
        Pipeline.of(named, 1, ["calls"])


def test_the_calls_of_a_registered_dialect_become_points(monkeypatch: pytest.MonkeyPatch, settings: Settings):
    monkeypatch.setitem(DIALECTS, "toy", TOY_DIALECT)
    check(hour_of([toy_span(number) for number in range(20)], settings))


def test_a_dialect_reads_response_ids_and_texts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DIALECTS, "toy", TOY_DIALECT)
    decoded = decode(toy_span(3), texts=True)
    (found,) = decoded.calls
    assert (found.response_id, found.input_text, decoded.filtered) == ("r3", "hello", 1)


def test_spans_of_an_unknown_dialect_are_no_calls():
    assert decode(toy_span(3)).calls == []
