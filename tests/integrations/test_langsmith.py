"""LangSmith's client, and the gateway as its server."""

from __future__ import annotations

import asyncio
import json

import pytest

import programs
from gateways import listening
from llmvitals.ingest import decode


@pytest.mark.parametrize(
    ("arguments", "path"),
    [((), "/runs/batch"), (("multipart",), "/runs/multipart")],
    ids=["asks", "multipart"],
)
async def test_each_run_counts_once_when_it_has_ended(arguments: tuple[str, ...], path: str) -> None:
    async with listening(gateway_token="the-token") as gateway:  # noqa: S106
        url = gateway.gateway.url
        ended = await asyncio.to_thread(programs.execute, "langsmith_runs", "integrations", url, *arguments)
        assert ended.returncode == 0, ended.stderr[-3_000:]
        sent = [json.loads(value) for value in gateway.values]
        read = [call for value in gateway.values for call in decode(value).calls]
    assert {record["path"] for record in sent} - {"/feedback"} == {path}
    one, other = sorted((call for call in read if call.operation == "chat"), key=lambda call: call.model)
    assert (one.model, one.status, one.error_type) == ("gpt-4o", "error", "TimeoutError")
    assert (other.model, other.status, other.provider) == ("gpt-4o-mini", "ok", "openai")
    assert (other.input_tokens, other.output_tokens) == (412, 37)
    assert (other.user, other.app) == ("u-7", "support")
    (search,) = [call for call in read if call.operation == "retrieval"]
    assert search.retrieval is not None
    assert search.retrieval.documents == 2
    (score,) = [call for call in read if call.operation == "evaluation"]
    assert (score.scores, score.annotator) == ({"helpful": 0.5}, "api")
    assert not any(call.input_text or call.output_text for call in read)
