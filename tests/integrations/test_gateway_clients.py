"""The clients of Langfuse and MLflow, and the gateway as their server."""

from __future__ import annotations

import asyncio

import programs
from gateways import listening
from llmvitals.ingest import decode


async def test_what_langfuse_and_mlflow_send_is_read() -> None:
    async with listening(gateway_token="the-token") as gateway:  # noqa: S106
        ended = await asyncio.to_thread(
            programs.execute, "gateway_clients", "integrations", gateway.gateway.url
        )
        assert ended.returncode == 0, ended.stderr[-3_000:]
        read = [call for value in gateway.values for call in decode(value).calls]
    calls = {call.model: (call.input_tokens, call.output_tokens) for call in read if call.operation == "chat"}
    assert calls == {"gpt-4o-mini": (12, 7), "gpt-4o": (30, 5)}
    (score,) = [call for call in read if call.operation == "evaluation"]
    assert score.scores == {"helpful": 0.5}
    assert not any(call.input_text or call.output_text for call in read)
