"""Texts are dropped before anything is kept: secrets in every recording are found nowhere."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

import mutations
from llmvitals.errors import BadCall
from llmvitals.ingest import Decoded, decode
from llmvitals.pipeline import Pipeline
from llmvitals.record.call import CallEvent
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.settings import Settings
from planted import SECRET, planted

NOW = 1_795_508_000_000
RULES = """\
groups:
- name: everything
  rules:
  - alert: Spends
    budget: {metric: cost, limit: 0.000001, rolling: 1h, by: [user], thresholds: [100%]}
    annotations: {summary: "{user} spent {value}"}
  - alert: Fails
    threshold: {metric: error_share, above: 1%, by: [app, model], min_calls: 1}
"""
DOCUMENTS = dict(mutations.documents())


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("alerts")
    (folder / "rules.yaml").write_text(RULES)
    return Settings(alerts=folder)


def records(name: str, *, damaged: int) -> list[bytes]:
    """The records of a recording with secrets: as they are, and damaged ones."""
    document = planted(DOCUMENTS[name])
    found: list[Any] = [*mutations.items(document)] if isinstance(document, list) else [document]
    dice = random.Random(name)
    found += [mutations.damaged(dice.choice(found[:9]), dice, moving=False) for _ in range(damaged)]
    whole = [json.dumps(record).encode() for record in found]
    return [*whole, *(record[: dice.randrange(len(record))] for record in whole[:3])]


def kept(values: list[bytes], configured: Settings) -> Iterator[bytes]:
    """Everything that lies on a topic after the stages: frames, dead letters, points, alerts, checkpoints."""
    pipeline = Pipeline.of(configured, 1, ["calls"])
    combine = pipeline.combining("calls", 0, parts={}, beginning=0, sources={"calls": 1})
    merge = pipeline.merging("partials", 0, parts={}, beginning=0, sources={})
    said = combine.apply([Logged(offset, NOW, value) for offset, value in enumerate(values)])
    yield from combine.snapshot(whole=True).parts.values()
    said += combine.flush() + combine.finish()
    frames = [message.value for message in said if message.topic is Topic.PARTIALS]
    said += merge.apply([Logged(offset, NOW, frame) for offset, frame in enumerate(frames)])
    yield from merge.snapshot(whole=True).parts.values()
    said += merge.finish()
    yield from merge.snapshot(whole=True).parts.values()
    yield from map(content, said)


def content(message: Message) -> bytes:
    return b"\n".join([message.key or b"", message.value or b"", repr(message.headers).encode()])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_of_a_text_is_kept(
    name: str,
    configured: Settings,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    values = records(name, damaged=15)
    assert SECRET.encode() in values[0], "nothing is planted"
    assert [value for value in kept(values, configured) if SECRET.encode() in value] == []
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_errors_and_calls_hold_nothing_of_a_text(name: str) -> None:
    for value in records(name, damaged=15):
        decoded, told = Decoded([]), ""
        try:
            decoded = decode(value, NOW * 1_000)
        except BadCall as error:
            told = repr(error) + str(error)
        assert SECRET not in told
        assert SECRET not in repr(decoded.refused) + repr(decoded.unread)
        for call in decoded.calls:
            fields = {field: repr(getattr(call, field)) for field in CallEvent.model_fields}
            leaks = {field: shown for field, shown in fields.items() if SECRET in shown}
            # A native call is decoded with its texts: combine's columns leave them out.
            assert leaks.keys() <= ({"input_text", "output_text"} if name == "native" else set()), leaks


@pytest.mark.parametrize("name", DOCUMENTS)
def test_recordings_with_secrets_are_still_read(name: str) -> None:
    """Else the tests above would find nothing because nothing is read."""
    document = DOCUMENTS[name]
    whole, secret = (decode(json.dumps(one).encode(), NOW * 1_000) for one in (document, planted(document)))
    assert [call.operation for call in secret.calls] == [call.operation for call in whole.calls]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("RateLimitError('Error code: 429')", "RateLimitError"),
        ("openai.APIConnectionError: Connection refused", "APIConnectionError"),
        ("TimeoutError", "TimeoutError"),
        (f"{SECRET.replace('-', '_')} is no valid key", "error"),
        (f"{SECRET}Error: no", "error"),
        ({"message": SECRET}, "error"),
    ],
)
def test_an_error_text_of_a_vendor_gives_its_class_and_nothing_else(error: object, kind: str) -> None:
    run = {
        "id": "r", "run_type": "llm", "error": error, "start_time": "2026-11-24T08:10:21Z",
        "end_time": "2026-11-24T08:10:22Z",
    }  # fmt: skip
    record = {"method": "POST", "path": "/runs/batch", "body": {"post": [run]}}
    (call,) = decode(json.dumps(record).encode()).calls
    assert (call.status, call.error_type) == ("error", kind)
