"""LiteLLM's own callback `generic_api` against the gateway."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gateways import listening
from llmvitals.errors import Unavailable
from llmvitals.ingest import decode
from real_parts import unavailable
from waiting import deadline

LITELLM = Path(__file__).parents[2] / ".venv" / "litellm" / "bin" / "python"
CALLS = """
import asyncio, litellm
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

async def main():
    logger = GenericAPILogger(batch_size=3, flush_interval=3600)
    litellm.callbacks = [logger]
    sent = asyncio.Event()
    post = logger.async_httpx_client.post

    async def watched(*args, **more):
        answer = await post(*args, **more)
        print(answer.status_code, answer.text)
        sent.set()
        return answer

    logger.async_httpx_client.post = watched
    for number in range(3):
        await litellm.acompletion(
            model="openai/gpt-4o-mini", api_key="sk-planted", messages=[{"role": "user", "content": "hi"}],
            mock_response="hello", metadata={"tags": ["app:shop"]},
        )
    await sent.wait()

asyncio.run(main())
"""


async def test_its_calls_arrive_in_one_request_with_its_token() -> None:
    if not LITELLM.exists():
        unavailable(Unavailable("LiteLLM is not installed: `make test` does that, from tests/litellm.txt"))
    async with listening(gateway_token="right") as client:  # noqa: S106 - a test's
        process = await asyncio.create_subprocess_exec(
            LITELLM, "-c", CALLS,
            env={
                **os.environ,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "GENERIC_LOGGER_ENDPOINT": f"{client.gateway.url}/litellm",
                "GENERIC_LOGGER_HEADERS": "Authorization=Bearer right",
            },
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(deadline(60)):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert (process.returncode, out.decode()) == (0, '200 {"accepted": 3, "ignored": 0}\n'), err.decode()
    calls = [call for value in client.values for call in decode(value, format="litellm").calls]
    assert [(call.model, call.status, call.app) for call in calls] == [("gpt-4o-mini", "ok", "shop")] * 3
    assert len({call.id for call in calls}) == 3
    assert b"sk-planted" not in b"".join(client.values)
