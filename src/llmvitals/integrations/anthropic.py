"""Wraps Anthropic's clients: `client = anthropic.wrap(Anthropic(), publisher)`."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from llmvitals.integrations.bodies import Json
from llmvitals.integrations.generated_clients import Answer, observe_client
from llmvitals.integrations.observation import EventPublisher, Observation, Recorder
from llmvitals.lenient import listed, mapping, text, tier
from llmvitals.texts import last_message
from llmvitals.usage import usage_of

__all__ = ["wrap"]

C = TypeVar("C")
_INSTRUMENTOR: Final = "llmvitals.anthropic"
_PROVIDERS: Final = {"Bedrock": "bedrock", "Vertex": "vertex_ai", "Foundry": "azure"}
"""Part of a client's class → provider."""
_DELTAS: Final = {"text": True, "thinking": False, "partial_json": False}
"""Part of a delta that holds a text → whether it is of the answer that people see."""


def wrap(client: C, publisher: EventPublisher, *, texts: bool = False, **fields: Any) -> C:
    """Observe a client in place, and return it: Anthropic, AsyncAnthropic, or those of Bedrock and Vertex AI.

    Messages have an event each, whatever the way they are called, streams included; what the client retries
    is one call. Copies made with `with_options` are observed too.

    texts: whether events have the last user message and the answer. fields: of every call, as `llmvitals
    schema call` names them, such as `team`.
    """
    return observe_client(client, Recorder(publisher, _INSTRUMENTOR, texts, fields), _Anthropic())


class _Anthropic:
    operations: Final = {"/v1/messages": "chat"}

    def provider(self, client: Any) -> str | None:
        name = type(client).__name__
        return next((provider for part, provider in _PROVIDERS.items() if part in name), "anthropic")

    def request(self, body: Json, observation: Observation, *, stream: bool) -> tuple[Json, Answer]:  # noqa: ARG002
        messages, model = body.get("messages"), text(body.get("model"))
        texts = [part for part in (messages, body.get("system")) if part]
        observation.sent(texts, last_message(messages, "user"), body)
        user = text(mapping(body.get("metadata")).get("user_id"))
        observation.set(model=model, requested_model=model, user=user)
        return body, AnthropicAnswer(observation)


class AnthropicAnswer:
    """Reads a message, or the events of one."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._usage: dict[str, Any] = {}

    def whole(self, body: Json) -> None:
        self._message(body)
        for block in map(mapping, listed(body.get("content"))):
            self._block(block)
        self._observation.set(finish_reason=text(body.get("stop_reason")), **usage_of(body.get("usage")))

    def chunk(self, body: Json) -> bool:
        kind = body.get("type")
        if kind == "message_start":
            message = mapping(body.get("message"))
            self._message(message)
            # The output is not known before the end: here it is only what has been made so far.
            self._add(mapping(message.get("usage")), output=False)
        elif kind == "content_block_start":
            self._block(mapping(body.get("content_block")))
        elif kind == "content_block_delta":
            delta = mapping(body.get("delta"))
            for name, shown in _DELTAS.items():
                self._observation.received(delta.get(name), shown=shown)
        elif kind == "message_delta":
            self._add(mapping(body.get("usage")), output=True)
            self._observation.set(finish_reason=text(mapping(body.get("delta")).get("stop_reason")))
        return True

    def _message(self, body: Json) -> None:
        self._observation.set(
            response_id=body.get("id"),
            model=text(body.get("model")),
            service_tier=tier(mapping(body.get("usage")).get("service_tier")),
        )

    def _block(self, block: Json) -> None:
        if str(block.get("type")).endswith("tool_use"):
            self._observation.tool(text(block.get("name")))
            self._observation.received(str(block.get("input") or ""), shown=False)
        self._observation.received(block.get("text"))
        self._observation.received(block.get("thinking"), shown=False)

    def _add(self, usage: Json, *, output: bool) -> None:
        """The usage at the end has all counts, or only those that have changed."""
        self._usage |= {
            name: value
            for name, value in usage.items()
            if value is not None and (output or name != "output_tokens")
        }
        self._observation.set(**usage_of(self._usage))
