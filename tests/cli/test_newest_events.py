"""What the doctor says of the newest records: what nothing reads, and models without a price."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmvitals.cli import doctor
from llmvitals.cli.doctor import Finding
from llmvitals.record.log import Logged
from llmvitals.settings import Settings

USAGE = {"input_tokens": 100, "output_tokens": 5}
GPT = {"provider": "openai", "model": "gpt-4o"}
SECRET = "sk-canary"  # noqa: S105 - it is none


def call(**fields: Any) -> bytes:
    return json.dumps({"id": "c", "ts": 1_795_503_015_000} | GPT | USAGE | fields).encode()


def span(scope: str, **attributes: str) -> bytes:
    one = {
        "traceId": "0a", "spanId": "0b", "startTimeUnixNano": "1795503015000000000",
        "endTimeUnixNano": "1795503016000000000",
        "attributes": [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()],
    }  # fmt: skip
    return json.dumps(
        {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": [one]}]}]}
    ).encode()


async def said(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *records: bytes, listed_prices: Path | None = None
) -> Finding:
    async def newest(*_: object) -> dict[str, Sequence[Logged]]:
        return {"llm.calls.v1": [Logged(offset, 1, value) for offset, value in enumerate(records)]}

    async def there(*_: object) -> None:
        pass

    monkeypatch.setattr(doctor, "newest_records", newest)
    monkeypatch.setattr(doctor, "find_topics", there)
    found = await doctor.examine(Settings(alerts=folder, brokers="127.0.0.1:9", listed_prices=listed_prices))
    (finding,) = [finding for finding in found if finding.what == "events"]
    return finding


async def test_events_that_are_all_read_are_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finding = await said(monkeypatch, tmp_path, call(), call(id="d"))
    assert (finding.state, finding.found) == (
        "fine", "of the newest 2 records, with 2 calls, all are read and have known models",
    )  # fmt: skip
    assert (await said(monkeypatch, tmp_path)).found == "there are none yet"


async def test_spans_that_nothing_reads_are_named_by_instrumentor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = [
        span("acme.ai\n", llm__acme=SECRET),
        span("acme.ai\n", llm__acme=SECRET),
        span("", llm__b="x"),
        call(),
    ]
    finding = await said(monkeypatch, tmp_path, *records)
    assert finding.state == "warning"
    assert finding.found.endswith("that nothing reads, by instrumentor: acme.ai 2, otlp 1")
    assert SECRET not in repr(finding)


async def test_models_without_a_price_are_named_with_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = [call(model="gpt-4o-mni") for _ in range(3)]
    finding = await said(
        monkeypatch, tmp_path, *wrong, call(model="zzzz", provider=None), call(cost_usd=1, model="own")
    )
    assert finding.found.endswith(
        "models without a price: openai/gpt-4o-mni 3 (nearest known: gpt-4o-mini), unknown/zzzz 1"
    )
    assert "LLMVITALS_PRICES" in finding.cure


async def test_the_doctor_prices_by_the_list_that_workers_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = tmp_path / "listed.json"
    price = {"litellm_provider": "bulk", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    listed.write_text(json.dumps({"bulk/ours": price}))
    own = call(provider="bulk", model="ours")
    assert (await said(monkeypatch, tmp_path, own)).state == "warning"
    assert (await said(monkeypatch, tmp_path, own, listed_prices=listed)).state == "fine"


async def test_more_models_than_are_named_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finding = await said(monkeypatch, tmp_path, *(call(model=f"{number}zzz") for number in range(8)))
    assert finding.found.endswith(", 3 more models")


async def test_dead_letters_are_counted_by_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finding = await said(monkeypatch, tmp_path, SECRET.encode(), b"{}", b"{}", call(input_tokens=-1))
    assert finding.found.endswith("dead letters: unknown_format 2, not_json 1, invalid 1")
    assert finding.cure.startswith("unknown_format: Send a native call")
    assert SECRET not in repr(finding)
