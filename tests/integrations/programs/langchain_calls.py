"""Calls by LangChain with the handler, also over a client that is wrapped."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from llmvitals.integrations import observe, openai
from llmvitals.integrations.langchain import LlmvitalsHandler
from planted import SECRET
from producing import cancelled, published, raised, run, url

ASK = [SystemMessage(SECRET), HumanMessage(f"What is {SECRET}?")]
METADATA = {"user_id": "u-7", "session_id": "s-1", "team": "search", "note": SECRET}


def model(key: str = "right", **more: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model="gpt-4o-mini", base_url=f"{url}/v1", api_key=f"sk-{SECRET}-{key}", max_retries=0, **more
    )


def over_wrapped(key: str = "right") -> ChatOpenAI:
    made = model(key)
    openai.wrap(made.root_client, published, provider="openai")
    openai.wrap(made.root_async_client, published, provider="openai")
    return made


def config(**more: Any) -> Any:
    return {"callbacks": [LlmvitalsHandler(published, **more)], "metadata": METADATA}


class Search(BaseRetriever):
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [Document(SECRET), Document(SECRET)]


@tool
def look_up(name: str) -> str:
    """Look a name up."""
    if name == "nothing":
        raise LookupError(SECRET)
    return SECRET


def chat() -> Any:
    return model().invoke(ASK, config()).content


def tools() -> Any:
    return model().bind_tools([look_up]).invoke(ASK, config()).tool_calls[0]["name"]


def stream() -> Any:
    return "".join(str(chunk.content) for chunk in model().stream(ASK, config()))


def stream_with_usage() -> Any:
    return "".join(str(chunk.content) for chunk in model(stream_usage=True).stream(ASK, config()))


def stream_closed() -> Any:
    chunks = model("hanging").stream(ASK, config())
    next(chunks)
    next(chunks)
    chunks.close()
    gc.collect()
    return len(published.events)


def responses() -> Any:
    return model(use_responses_api=True).invoke(ASK, config()).response_metadata["status"]


def failure() -> Any:
    return raised(lambda: model("limited").invoke(ASK, config())).partition(":")[0]


def chain() -> None:
    prompt = ChatPromptTemplate.from_messages([("human", "{question}")])
    documents = RunnableLambda(lambda question: {"question": str(Search().invoke(question))})
    (documents | prompt | model() | RunnableLambda(lambda answer: look_up.invoke("name"))).invoke(
        SECRET, config()
    )


def tool_failure() -> Any:
    return raised(lambda: look_up.invoke("nothing", config())).partition(":")[0]


def texts() -> None:
    model().invoke(ASK, config(texts=True))


def texts_of_stream() -> None:
    list(model().stream(ASK, config(texts=True)))


def once() -> Any:
    return over_wrapped().invoke(ASK, config()).content


def once_streamed() -> None:
    list(over_wrapped().stream(ASK, config()))


def once_failed() -> Any:
    return raised(lambda: over_wrapped("limited").invoke(ASK, config())).partition(":")[0]


def other_call_between() -> None:
    """A stream is read; meanwhile the same context makes another call, by a client that is wrapped."""
    other = over_wrapped()
    for number, _ in enumerate(model().stream(ASK, config())):
        if number == 1:
            other.invoke(ASK)


def embeddings() -> Any:
    made = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=f"{url}/v1",
        api_key="sk-right",
        check_embedding_ctx_length=False,
    )
    openai.wrap(made.client._client, published, provider="openai")
    return len(made.embed_query(SECRET))


def observed() -> None:
    with observe(published, environment="test"):
        model().invoke(ASK, config())


async def async_chat() -> Any:
    return (await model().ainvoke(ASK, config())).content


async def async_stream() -> Any:
    return "".join([str(chunk.content) async for chunk in model().astream(ASK, config())])


async def async_once() -> None:
    await over_wrapped().ainvoke(ASK, config())


async def async_once_failed() -> None:
    with suppress(Exception):
        await over_wrapped("limited").ainvoke(ASK, config())


async def async_cancelled() -> Any:
    read = asyncio.Event()

    async def reading() -> None:
        async for chunk in model("hanging").astream(ASK, config()):
            if chunk.content:
                read.set()

    return await cancelled(reading(), read)


run(
    chat, tools, stream, stream_with_usage, stream_closed, responses, failure, chain, tool_failure, texts,
    texts_of_stream, once, once_streamed, once_failed, other_call_between, embeddings, observed, async_chat,
    async_stream, async_once, async_once_failed, async_cancelled,
)  # fmt: skip
