"""Calls by OpenAI's client, plain and wrapped."""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from typing import Any

from openai import AsyncOpenAI, OpenAI, Stream
from pydantic import BaseModel

from llmvitals.integrations import observe, openai
from planted import SECRET
from producing import cancelled, published, raised, run, url

MESSAGES: Any = [{"role": "system", "content": SECRET}, {"role": "user", "content": f"What is {SECRET}?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
ASK: Any = {"model": "gpt-4o-mini", "messages": MESSAGES}


def plain(key: str = "right") -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key=f"sk-{SECRET}-{key}", max_retries=1)


def wrapped(key: str = "right", **more: Any) -> OpenAI:
    return openai.wrap(plain(key), published, provider="openai", team="search", **more)


def asynchronous(key: str = "right") -> AsyncOpenAI:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=f"sk-{SECRET}-{key}", max_retries=1)
    return openai.wrap(client, published, provider="openai")


def shown(answer: Any) -> Any:
    return answer.model_dump(exclude={"id"})


def chat() -> Any:
    answers = [client.chat.completions.create(**ASK, user="u-7") for client in (plain(), wrapped())]
    return [shown(answer) for answer in answers]


def tools() -> None:
    wrapped().chat.completions.create(**ASK, tools=TOOLS)


def stream() -> Any:
    chunks = []
    for client in (plain(), wrapped()):
        answer = client.chat.completions.create(**ASK, stream=True)
        chunks.append([shown(chunk) for chunk in answer])
        assert isinstance(answer, Stream), type(answer)
    return chunks


def stream_with_usage() -> Any:
    with wrapped().chat.completions.create(
        **ASK, stream=True, stream_options={"include_usage": True}
    ) as answer:
        return [chunk.usage is not None for chunk in answer]


def stream_usage() -> Any:
    answers = [
        client.chat.completions.create(**ASK, stream=True) for client in (plain(), wrapped(stream_usage=True))
    ]
    return [[shown(chunk) for chunk in answer] for answer in answers]


def stream_closed() -> Any:
    with wrapped("hanging").chat.completions.create(**ASK, stream=True) as answer:
        next(answer)
        next(answer)
        last_part = time.time()
        time.sleep(0.02)  # the application thinks
    return len(published.events), last_part * 1_000, answer.response.is_closed


def stream_dropped() -> Any:
    for chunk in wrapped("hanging").chat.completions.create(**ASK, stream=True):
        if chunk.choices[0].delta.content:
            break
    last_part = time.time()
    time.sleep(0.02)  # the application thinks
    gc.collect()  # a stream refers to itself
    return len(published.events), last_part * 1_000, True


def stream_helper() -> Any:
    with wrapped().chat.completions.stream(**ASK) as events:
        return [event.type for event in events]


def response() -> Any:
    return wrapped().responses.create(model="gpt-4o-mini", input=SECRET).output_text


def response_stream() -> Any:
    return [
        event.type for event in wrapped().responses.create(model="gpt-4o-mini", input=SECRET, stream=True)
    ]


def embedding() -> Any:
    return wrapped().embeddings.create(model="text-embedding-3-small", input=SECRET).data[0].embedding


def speech() -> Any:
    return len(wrapped().audio.speech.create(model="tts-1", voice="alloy", input=SECRET).content)


def raw() -> Any:
    return wrapped().chat.completions.with_raw_response.create(**ASK).parse().model


def raw_stream() -> Any:
    return len(list(wrapped().chat.completions.with_raw_response.create(**ASK, stream=True).parse()))


def bytes_of_answer() -> Any:
    with wrapped().chat.completions.with_streaming_response.create(**ASK) as answer:
        return len(b"".join(answer.iter_bytes())) > 0


def copied() -> Any:
    return wrapped().with_options(timeout=50).chat.completions.create(**ASK).choices[0].finish_reason


def wrapped_twice() -> Any:
    client = wrapped()
    assert openai.wrap(client, published) is client
    return client.chat.completions.create(**ASK).choices[0].finish_reason


def failures() -> Any:
    keys = ("wrong", "limited", "broken")
    clients = [[make(key) for key in keys] for make in (plain, wrapped)]
    return [[raised(partial(client.chat.completions.create, **ASK)) for client in made] for made in clients]


class Structure(BaseModel):
    number: int


def parsed() -> Any:
    """An answer that is no such structure."""
    return raised(partial(wrapped().chat.completions.parse, **ASK, response_format=Structure)).partition(":")[
        0
    ]


def other_requests() -> Any:
    return raised(lambda: wrapped().models.list()).partition(":")[0]


def texts() -> None:
    wrapped(texts=True).chat.completions.create(**ASK)


def texts_of_stream() -> None:
    list(wrapped(texts=True).chat.completions.create(**ASK, stream=True))


def observed() -> None:
    with observe(published, user="u-1", session="s-1", tags={"region": "eu"}):
        wrapped().chat.completions.create(**ASK)
        wrapped().embeddings.create(model="text-embedding-3-small", input="x")


def wrapper() -> None:
    """An observed call of a model around a stream that is read after it."""

    @observe(published, model="gpt-4o-mini", user="u-1")
    def ask() -> Any:
        return wrapped().chat.completions.create(**ASK, stream=True)

    list(ask())


def broken_publisher() -> Any:
    class Broken:
        def publish(self, call: Any, /) -> bool:
            raise ValueError(SECRET)

    return openai.wrap(plain(), Broken()).chat.completions.create(**ASK).choices[0].finish_reason


async def async_chat() -> Any:
    async with asynchronous() as client:
        return (await client.chat.completions.create(**ASK)).choices[0].finish_reason


async def async_stream() -> Any:
    async with asynchronous() as client:
        return [shown(chunk) async for chunk in await client.chat.completions.create(**ASK, stream=True)]


async def async_failure() -> Any:
    async with asynchronous("limited") as client:
        try:
            await client.chat.completions.create(**ASK)
        except Exception as error:  # noqa: BLE001
            return type(error).__name__


async def async_cancelled() -> Any:
    read = asyncio.Event()

    async def reading() -> None:
        async with asynchronous("hanging") as client:
            async for chunk in await client.chat.completions.create(**ASK, stream=True):
                if chunk.choices[0].delta.content:
                    read.set()

    return await cancelled(reading(), read)


async def async_closed() -> Any:
    async with asynchronous("hanging") as client:
        async with await client.chat.completions.create(**ASK, stream=True) as answer:
            async for chunk in answer:
                if chunk.choices[0].delta.content:
                    break
            last_part = time.time()
            await asyncio.sleep(0.02)  # the application thinks
        return len(published.events), last_part * 1_000, answer.response.is_closed


async def async_raw() -> Any:
    async with asynchronous() as client:
        return (await client.chat.completions.with_raw_response.create(**ASK)).parse().model


run(
    chat, tools, stream, stream_with_usage, stream_usage, stream_closed, stream_dropped, stream_helper, response,
    response_stream, embedding, speech, raw, raw_stream, bytes_of_answer, copied, wrapped_twice, failures, parsed, other_requests, texts,
    texts_of_stream, observed, wrapper, broken_publisher, async_chat, async_stream, async_failure, async_cancelled,
    async_closed, async_raw,
)  # fmt: skip
