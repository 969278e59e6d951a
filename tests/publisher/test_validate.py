"""A publisher that validates says what is wrong with a call while the application is written."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from llmvitals import CallFields, Publisher

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY = "127.0.0.1:9"
GOOD: CallFields = {"id": "c1", "ts": 1_735_732_800_000, "model": "gpt-5", "tools": [{"name": "search"}]}
WRONG = [
    ({"model": None}, "model: Expected `str`, got `null`"),
    ({"input_tokens": "planted"}, "input_tokens: Expected `int | null`, got `str`"),
    ({"input_tokens": -1}, "input_tokens: Expected `int` >= 0"),
    ({"status": "planted"}, "status: is not one of the allowed values"),
    ({"ts": "planted"}, "ts: Invalid RFC3339 encoded datetime"),
    ({"ts": datetime(2025, 1, 1)}, "ts: "),  # noqa: DTZ001 - that is what is wrong
    ({"ts": 1_735_732_800}, "ts: is too early. The time is before 2015: send milliseconds since 1970, not seconds"),
    ({"id": "planted" * 100}, "id: Expected `str` of length <= 128"),
    ({"tags": {"planted": 7}}, "tags[...]: Expected `str`, got `int`"),
    ({"guardrails": [{"name": "pii", "verdict": "planted"}]}, "guardrails[0].verdict: is not one of the allowed values"),
    ({"embedding": {"model": "m", "vector": "planted!"}}, "embedding: not base64 of 1 to 4096 float32"),
    ({"schema_version": 2}, "schema_version: is newer than 1"),
]  # fmt: skip


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize(("wrong", "told"), WRONG)
def test_the_field_and_the_cure_are_told_but_no_value(
    wrong: Mapping[str, object], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(brokers=NOBODY, validate=True) as publisher:
        assert publisher.publish({**GOOD, **wrong, "input_text": "planted"}) is False
        assert (publisher.failed, publisher.waiting) == (1, 0)
    (warning,) = warnings(caplog)
    assert warning.startswith("a call is invalid and is not sent (")
    assert told in warning
    assert "planted" not in caplog.text
    assert "; see `llmvitals schema call`" in warning or "upgrade it" in warning or "milliseconds" in warning


def test_what_is_missing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with Publisher(brokers=NOBODY, validate=True) as publisher:
        assert publisher.publish({"id": "c1", "ts": 1_735_732_800_000, "modle": "planted"}) is False
    assert "Object missing required field `model`" in warnings(caplog)[0]
    assert "planted" not in caplog.text


def test_each_mistake_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with Publisher(brokers=NOBODY, validate=True) as publisher:
        for number in range(30):
            publisher.publish({**GOOD, "latency_ms": -1.0 - number})
            publisher.publish({**GOOD, "toxicity": 2.0 + number})
        assert publisher.failed == 60
    assert len(warnings(caplog)) == 2


async def test_async_code_is_told_too() -> None:
    async with Publisher(brokers=NOBODY, validate=True) as publisher:
        assert await publisher.apublish({**GOOD, "id": ""}) is False


class Made(BaseModel):
    id: str = "c1"
    ts: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    model: str = "gpt-5"
    team: str | None = None


@pytest.mark.parametrize("good", [GOOD, {**GOOD, "unknown": 1, "team": None}, Made()])
def test_a_valid_call_waits_for_kafka(good: Any, caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(brokers=NOBODY, validate=True)
    assert publisher.publish(good) is True
    assert (publisher.failed, publisher.waiting, warnings(caplog)) == (0, 1, [])
    publisher.close(0.1)


def test_the_environment_turns_it_on_and_the_code_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMVITALS_PUBLISHER_VALIDATE", "1")
    for publisher, taken in (
        (Publisher(brokers=NOBODY), False),
        (Publisher(brokers=NOBODY, validate=False), True),
    ):
        assert publisher.publish({"id": "c1"}) is taken
        publisher.close(0.1)
    monkeypatch.delenv("LLMVITALS_PUBLISHER_VALIDATE")
    publisher = Publisher(brokers=NOBODY)
    assert publisher.publish({"id": "c1"}) is True
    publisher.close(0.1)


def test_a_type_checker_finds_a_typo() -> None:
    """mypy does, in `make check`: it would report an ignore that it has no use for."""
    typo: CallFields = {"id": "c1", "ts": 1, "modle": "m"}  # type: ignore[typeddict-unknown-key, typeddict-item]
    assert "model" not in typo
