"""Calls by LiteLLM's SDK with the logger."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from openai import OpenAI

from llmvitals.integrations import observe, openai
from llmvitals.integrations.litellm import LlmvitalsLogger
from planted import SECRET
from producing import published, raised, run, url
from waiting import deadline, until

reported = threading.Event()


class Last(CustomLogger):
    """LiteLLM calls it after the one before."""

    def log_success_event(self, *_: Any, **__: Any) -> None:
        reported.set()

    async def async_log_success_event(self, *_: Any, **__: Any) -> None:
        reported.set()

    def log_failure_event(self, *_: Any, **__: Any) -> None:
        reported.set()

    async def async_log_failure_event(self, *_: Any, **__: Any) -> None:
        reported.set()


litellm.callbacks = [LlmvitalsLogger(published, team="search"), Last()]
litellm.suppress_debug_info = True
MESSAGES: Any = [{"role": "system", "content": SECRET}, {"role": "user", "content": f"What is {SECRET}?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]


def asked(key: str = "right", **more: Any) -> Any:
    return {
        "model": "openai/gpt-4o-mini", "api_base": f"{url}/v1", "api_key": f"sk-{SECRET}-{key}", "messages": MESSAGES,
        "metadata": {"session_id": "s-1", "note": SECRET}, "user": "u-7", "num_retries": 0, "max_retries": 0, **more,
    }  # fmt: skip


def settled() -> None:
    """LiteLLM reports from a thread of its own."""
    assert reported.wait(deadline(20))
    reported.clear()


async def settling() -> None:
    await asyncio.to_thread(settled)


def chat() -> Any:
    answer = litellm.completion(**asked())
    settled()
    return answer.choices[0].message.content


def tools() -> None:
    litellm.completion(**asked(tools=TOOLS))
    settled()


def stream() -> Any:
    words = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**asked(stream=True))]
    settled()
    return "".join(words)


def stream_with_usage() -> None:
    list(litellm.completion(**asked(stream=True, stream_options={"include_usage": True})))
    settled()


def claude() -> None:
    litellm.completion(**asked(model="anthropic/claude-sonnet-4-5", api_base=url))
    settled()


def embedding() -> None:
    litellm.embedding(
        model="openai/text-embedding-3-small", input=[SECRET], api_base=f"{url}/v1", api_key=f"sk-{SECRET}"
    )
    settled()


def failure() -> Any:
    saw = raised(lambda: litellm.completion(**asked("limited"))).partition(":")[0]
    settled()
    return saw


def retried() -> Any:
    answer = litellm.completion(**asked("flaky", num_retries=1))
    settled()
    until(lambda: any(event.get("status") != "error" for event in published.events), 20)
    return answer.choices[0].finish_reason


def once() -> None:
    client = openai.wrap(OpenAI(base_url=f"{url}/v1", api_key=f"sk-{SECRET}"), published, provider="openai")
    litellm.completion(**asked(client=client))
    settled()


def observed() -> None:
    with observe(published, app="bot"):
        litellm.completion(**asked())
        settled()


async def async_chat() -> Any:
    answer = await litellm.acompletion(**asked())
    await settling()
    return answer.choices[0].message.content


async def async_stream() -> Any:
    words = [
        chunk.choices[0].delta.content or ""
        async for chunk in await litellm.acompletion(**asked(stream=True))
    ]
    await settling()
    return "".join(words)


async def async_observed() -> None:
    with observe(published, app="bot"):
        await litellm.acompletion(**asked())
        await settling()


async def async_failure() -> Any:
    try:
        await litellm.acompletion(**asked("limited"))
    except Exception as error:  # noqa: BLE001
        await settling()
        return type(error).__name__


run(
    chat, tools, stream, stream_with_usage, claude, embedding, failure, retried, once, observed, async_chat, async_stream,
    async_observed, async_failure,
)  # fmt: skip
