"""Reads requests and answers in OpenAI's form, also of other providers that speak it."""

from __future__ import annotations

from typing import Final

from llmvitals.integrations.bodies import Json
from llmvitals.integrations.observation import Observation
from llmvitals.lenient import listed, mapping, text, tier
from llmvitals.texts import last_message, plain
from llmvitals.usage import usage_of

OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/completions": "completion",
    "/embeddings": "embedding",
    "/moderations": "moderation",
    "/images/generations": "image",
    "/images/edits": "image",
    "/images/variations": "image",
    "/audio/transcriptions": "audio",
    "/audio/translations": "audio",
    "/audio/speech": "audio",
}
"""Path → operation."""
_ELSEWHERE: Final = ("previous_response_id", "conversation")
"""With one of these the model reads more than what the request holds."""
_DELTAS: Final = ("response.output_text.delta", "response.refusal.delta")
_HIDDEN_DELTAS: Final = (
    "response.function_call_arguments.delta", "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta", "response.custom_tool_call_input.delta",
)  # fmt: skip
_TOOL: Final = "_call"
"""How the types of a response's items that ask for a tool end."""


def read_request(body: Json, observation: Observation) -> None:
    """Read what is asked for, and how much is sent."""
    prompt = body.get("messages") or body.get("input") or body.get("prompt")
    last = prompt if isinstance(prompt, str) else last_message(prompt, "user")
    texts = [part for part in (prompt, body.get("instructions")) if part]
    observation.sent(None if any(map(body.get, _ELSEWHERE)) else texts, last, body)
    model = text(body.get("model"))
    observation.set(model=model, requested_model=model, user=text(body.get("user")))


class OpenAIAnswer:
    """Reads one answer of chat completions, completions, responses, embeddings, images and the rest.

    hides_usage: whether the chunk with the usage, which the application did not ask for, is kept from it.
    """

    def __init__(self, observation: Observation, *, hides_usage: bool = False) -> None:
        self._observation, self._hides_usage = observation, hides_usage

    def whole(self, body: Json) -> None:
        """Read an answer."""
        self._note(body)
        self._choices(body, "message")
        if "output" in body:
            self._response(body)

    def chunk(self, body: Json) -> bool:
        """Read a chunk of a completion or an event of a response."""
        kind = body.get("type")
        if isinstance(kind, str):
            self._event(kind, body)
            return True
        self._note(body)
        self._choices(body, "delta")
        return bool(listed(body.get("choices"))) or not (self._hides_usage and body.get("usage"))

    def _note(self, body: Json) -> None:
        self._observation.set(
            response_id=body.get("id"),
            model=text(body.get("model")),
            service_tier=tier(body.get("service_tier")),
            **usage_of(body.get("usage"), self._observation.operation),
        )

    def _choices(self, body: Json, message: str) -> None:
        """Read the choices. message: the name of what a choice holds of its message."""
        for choice in map(mapping, listed(body.get("choices"))):
            self._message(mapping(choice.get(message)))
            self._observation.received(choice.get("text"))
            self._observation.set(finish_reason=text(choice.get("finish_reason")))

    def _message(self, message: Json) -> None:
        content = message.get("content")
        self._observation.received(content if isinstance(content, str) else plain(listed(content)))
        for name in ("refusal", "reasoning_content"):
            self._observation.received(message.get(name), shown=False)
        for call in map(mapping, listed(message.get("tool_calls"))):
            function = mapping(call.get("function")) or mapping(call.get("custom"))
            self._observation.tool(text(function.get("name")))
            arguments = function.get("arguments") or function.get("input")
            self._observation.received(arguments, shown=False)

    def _event(self, kind: str, body: Json) -> None:
        """An event of a response that is streamed."""
        if kind in _DELTAS or kind in _HIDDEN_DELTAS:
            self._observation.received(body.get("delta"), shown=kind in _DELTAS)
        elif kind == "response.output_item.added":
            self._item(mapping(body.get("item")), texts=False)
        elif kind == "error":
            self._observation.fail(text(body.get("code")) or "error")
        response = mapping(body.get("response"))
        if response:
            self._note(response)
            self._status(response)

    def _response(self, body: Json) -> None:
        for item in map(mapping, listed(body.get("output"))):
            self._item(item, texts=True)
        self._status(body)

    def _item(self, item: Json, *, texts: bool) -> None:
        kind = str(item.get("type"))
        if kind.endswith(_TOOL):
            self._observation.tool(text(item.get("name")) or kind.removesuffix(_TOOL))
        for name in ("arguments", "input") if texts else ():
            self._observation.received(item.get(name), shown=False)
        for part in map(mapping, listed(item.get("content")) if texts else ()):
            self._observation.received(part.get("text"))

    def _status(self, body: Json) -> None:
        """A response has a status in place of a finish reason."""
        status = text(body.get("status"))
        if status == "failed":
            self._observation.fail(text(mapping(body.get("error")).get("code")) or "failed")
        elif status in ("completed", "incomplete", "cancelled"):
            reason = text(mapping(body.get("incomplete_details")).get("reason"))
            self._observation.set(finish_reason=reason or status)
