"""Calls by Anthropic's client, plain and wrapped."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from anthropic import Anthropic, AsyncAnthropic, Stream

from llmvitals.integrations import anthropic
from planted import SECRET
from producing import cancelled, published, raised, run, url

ASK: Any = {
    "model": "claude-sonnet-4-5", "max_tokens": 100, "system": SECRET, "metadata": {"user_id": "u-7"},
    "messages": [{"role": "user", "content": f"What is {SECRET}?"}],
}  # fmt: skip
TOOLS: Any = [{"name": "look_up", "description": SECRET, "input_schema": {"type": "object"}}]


def plain(key: str = "right") -> Anthropic:
    return Anthropic(base_url=url, api_key=f"sk-{SECRET}-{key}", max_retries=1)


def wrapped(key: str = "right", **more: Any) -> Anthropic:
    return anthropic.wrap(plain(key), published, team="search", **more)


def asynchronous(key: str = "right") -> AsyncAnthropic:
    return anthropic.wrap(
        AsyncAnthropic(base_url=url, api_key=f"sk-{SECRET}-{key}", max_retries=1), published
    )


def shown(answer: Any) -> Any:
    return answer.model_dump(exclude={"id": True, "message": {"id"}})


def message() -> Any:
    return [shown(client.messages.create(**ASK)) for client in (plain(), wrapped())]


def tools() -> None:
    wrapped().messages.create(**ASK, tools=TOOLS)


def stream() -> Any:
    events = []
    for client in (plain(), wrapped()):
        answer = client.messages.create(**ASK, stream=True)
        events.append([shown(event) for event in answer])
        assert isinstance(answer, Stream), type(answer)
    return events


def stream_helper() -> Any:
    texts = []
    for client in (plain(), wrapped()):
        with client.messages.stream(**ASK) as answer:
            texts.append(["".join(answer.text_stream), answer.get_final_message().usage.input_tokens])
    return texts


def stream_closed() -> Any:
    with wrapped("hanging").messages.stream(**ASK) as answer:
        next(iter(answer.text_stream))
    return len(published.events)


def raw() -> Any:
    return wrapped().messages.with_raw_response.create(**ASK).parse().model


def copied() -> Any:
    return wrapped().with_options(timeout=50).messages.create(**ASK).stop_reason


def failures() -> Any:
    keys = ("wrong", "limited", "broken")
    clients = [[make(key) for key in keys] for make in (plain, wrapped)]
    return [[raised(partial(client.messages.create, **ASK)) for client in made] for made in clients]


def texts() -> None:
    with wrapped(texts=True).messages.stream(**ASK) as answer:
        answer.until_done()


async def async_message() -> Any:
    async with asynchronous() as client:
        return (await client.messages.create(**ASK)).stop_reason


async def async_raw() -> Any:
    async with asynchronous() as client:
        return (await (await client.messages.with_raw_response.create(**ASK)).parse()).model


async def async_stream() -> Any:
    async with asynchronous() as client, client.messages.stream(**ASK) as answer:
        return "".join([text async for text in answer.text_stream])


async def async_cancelled() -> Any:
    read = asyncio.Event()

    async def reading() -> None:
        async with asynchronous("hanging") as client:
            async for event in await client.messages.create(**ASK, stream=True):
                if event.type == "content_block_delta":
                    read.set()

    return await cancelled(reading(), read)


run(
    message, tools, stream, stream_helper, stream_closed, raw, copied, failures, texts, async_message, async_raw,
    async_stream, async_cancelled,
)  # fmt: skip
