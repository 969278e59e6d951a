"""Wraps OpenAI's clients: `client = openai.wrap(OpenAI(), publisher)`."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from llmvitals.integrations.bodies import Json
from llmvitals.integrations.generated_clients import Answer, observe_client
from llmvitals.integrations.observation import EventPublisher, Observation, Recorder
from llmvitals.integrations.openai_answers import OPERATIONS, OpenAIAnswer, read_request

__all__ = ["wrap"]

C = TypeVar("C")
_INSTRUMENTOR: Final = "llmvitals.openai"


def wrap(
    client: C, publisher: EventPublisher, *, texts: bool = False, stream_usage: bool = False, **fields: Any
) -> C:
    """Observe a client in place, and return it: OpenAI, AsyncOpenAI, or Azure's.

    Chat completions, responses, completions, embeddings, moderations, images and audio have an event each,
    whatever the way they are called, streams included; what the client retries is one call. Copies made with
    `with_options` are observed too.

    texts: whether events have the last user message and the answer. stream_usage: ask for the usage of
    streams of chat completions, where the application does not; without it their usage is unknown. The
    application does not see the chunk that has the usage; a server that does not know `stream_options` may
    refuse the call. fields: of every call, as `llmvitals schema call` names them, such as `team`, or
    `provider` where the client calls somebody else than OpenAI.
    """
    return observe_client(
        client, Recorder(publisher, _INSTRUMENTOR, texts, fields), _OpenAI(stream_usage=stream_usage)
    )


class _OpenAI:
    operations = OPERATIONS

    def __init__(self, *, stream_usage: bool) -> None:
        self._stream_usage = stream_usage

    def provider(self, client: Any) -> str | None:
        host = str(client.base_url.host)
        if type(client).__name__.endswith("AzureOpenAI") or host.endswith(".azure.com"):
            return "azure"
        return "openai" if f".{host}".endswith(".openai.com") else None

    def request(self, body: Json, observation: Observation, *, stream: bool) -> tuple[Json, Answer]:
        read_request(body, observation)
        asks = self._stream_usage and stream and "messages" in body and not body.get("stream_options")
        if asks:
            body = {**body, "stream_options": {"include_usage": True}}
        return body, OpenAIAnswer(observation, hides_usage=asks)
