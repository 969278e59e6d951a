"""Calls by LlamaIndex with the handler, also over a client that is wrapped."""

from __future__ import annotations

from typing import Any

from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import TextNode
from llama_index.llms.openai import OpenAI
from openai import AsyncOpenAI
from openai import OpenAI as Client

from llmvitals.integrations import llamaindex, observe, openai
from planted import SECRET
from producing import published, raised, run, url

ASK = [ChatMessage(role="system", content=SECRET), ChatMessage(role="user", content=f"What is {SECRET}?")]
llamaindex.instrument(published, team="search")


def model(key: str = "right", **more: Any) -> OpenAI:
    return OpenAI(
        model="gpt-4o-mini", api_base=f"{url}/v1", api_key=f"sk-{SECRET}-{key}", max_retries=0, **more
    )


def over_wrapped(key: str = "right") -> OpenAI:
    where: Any = {"base_url": f"{url}/v1", "api_key": f"sk-{SECRET}-{key}", "max_retries": 0}
    return model(
        key,
        openai_client=openai.wrap(Client(**where), published, provider="openai"),
        async_openai_client=openai.wrap(AsyncOpenAI(**where), published, provider="openai"),
    )


def chat() -> Any:
    return model().chat(ASK).message.content


def complete() -> Any:
    return model().complete(SECRET).text


def stream() -> Any:
    return "".join(part.delta or "" for part in model().stream_chat(ASK))


def stream_with_usage() -> Any:
    made = model(additional_kwargs={"stream_options": {"include_usage": True}})
    return "".join(part.delta or "" for part in made.stream_chat(ASK))


def stream_closed() -> Any:
    parts = model("hanging").stream_chat(ASK)
    next(parts)
    next(parts)
    parts.close()
    return len(published.events)


def failure() -> Any:
    return raised(lambda: model("limited").chat(ASK)).partition(":")[0]


def query() -> Any:
    index = VectorStoreIndex([TextNode(text=SECRET)], embed_model=MockEmbedding(embed_dim=4))
    with observe(published, user="u-7"):
        return len(index.as_query_engine(llm=model()).query(SECRET).source_nodes)


def texts() -> None:
    llamaindex.instrument(published, texts=True)
    model().chat(ASK)
    list(model().stream_chat(ASK))


def once() -> Any:
    return over_wrapped().chat(ASK).message.content


def once_streamed() -> None:
    list(over_wrapped().stream_chat(ASK))


def once_failed() -> Any:
    return raised(lambda: over_wrapped("limited").chat(ASK)).partition(":")[0]


async def async_chat() -> Any:
    return (await model().achat(ASK)).message.content


async def async_stream() -> Any:
    return "".join([part.delta or "" async for part in await model().astream_chat(ASK)])


async def async_once() -> None:
    await over_wrapped().achat(ASK)


async def async_failure() -> Any:
    try:
        await model("limited").achat(ASK)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


run(
    chat, complete, stream, stream_with_usage, stream_closed, failure, query, once, once_streamed, once_failed,
    async_chat, async_stream, async_once, async_failure, texts,
)  # fmt: skip
