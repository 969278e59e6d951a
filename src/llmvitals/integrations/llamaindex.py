"""Observes LlamaIndex: `llamaindex.instrument(publisher)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent, RetrievalStartEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from pydantic import PrivateAttr

from llmvitals.integrations.anthropic import AnthropicAnswer
from llmvitals.integrations.bodies import Json, dumped
from llmvitals.integrations.guard import guarded
from llmvitals.integrations.observation import EventPublisher, Observation, Recorder, current
from llmvitals.integrations.openai_answers import OpenAIAnswer
from llmvitals.integrations.runs import Runs, labels
from llmvitals.lenient import mapping, text
from llmvitals.usage import usage_of

__all__ = ["instrument"]

_INSTRUMENTOR: Final = "llmvitals.llamaindex"
_PROVIDERS: Final = {"openai_llm": "openai", "Anthropic_LLM": "anthropic"}
"""Name of LlamaIndex's class → provider, where the class knows only one."""
_UNNAMED: Final = "unknown"
"""LlamaIndex's name of an embedding model that has none."""
_CHUNK: Final = "chat.completion.chunk"
"""What OpenAI calls its chunks."""


def instrument(publisher: EventPublisher, *, texts: bool = False, **fields: Any) -> None:
    """Observe LlamaIndex in all of this process. Called again, it only changes where calls go.

    Calls of models, embeddings and searches have an event each. `instrument_tags` of LlamaIndex may have
    labels, such as `user_id` and `team`. texts: whether events have the last user message and the answer.
    fields: of every call, as `llmvitals schema call` names them.
    """
    recorder = Recorder(publisher, _INSTRUMENTOR, texts, fields)
    dispatcher = get_dispatcher()
    for known in dispatcher.event_handlers:
        if isinstance(known, _Events):
            known.record(recorder)
            return
    handler = _Events()
    handler.record(recorder)
    dispatcher.add_event_handler(handler)
    dispatcher.add_span_handler(_Failures(handler))


class _Events(BaseEventHandler):
    """Begins and ends observations by LlamaIndex's events."""

    _recorder: Recorder = PrivateAttr()
    _runs: Runs = PrivateAttr(default_factory=Runs)

    @classmethod
    def class_name(cls) -> str:
        """LlamaIndex's name of the class."""
        return "LlmvitalsEvents"

    def record(self, recorder: Recorder) -> None:
        """Set where calls go. LlamaIndex's handlers are pydantic's models, which take no such argument."""
        self._recorder = recorder

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take an event."""
        with guarded("an event of LlamaIndex can't be read"):
            match event:
                case LLMChatStartEvent():
                    users = [m.content for m in event.messages if str(m.role.value) == "user"]
                    last = users[-1] if users else None
                    self._begin("chat", event).sent(_texts(event.messages), last, _parameters(event))
                case LLMCompletionStartEvent():
                    self._begin("completion", event).sent(event.prompt, event.prompt, _parameters(event))
                case EmbeddingStartEvent():
                    self._begin("embedding", event)
                case RetrievalStartEvent():
                    self._begin("retrieval", event)
                case LLMChatInProgressEvent() | LLMCompletionInProgressEvent():
                    self._part(event)
                case LLMChatEndEvent() | LLMCompletionEndEvent():
                    self._end_model(event)
                case EmbeddingEndEvent():
                    self._end("embedding", event.span_id)
                case RetrievalEndEvent():
                    self._end("retrieval", event.span_id, retrieval={"documents": len(event.nodes)})
                case ExceptionEvent():
                    self.fail(event.span_id, event.exception)

    def fail(self, span: str | None, error: BaseException | None) -> None:
        """End what a span has begun."""
        for operation in ("chat", "completion", "embedding", "retrieval"):
            observation = self._runs.pop((operation, span))
            if observation is not None:
                observation.failed(error or "error")

    def _begin(self, operation: str, event: Any) -> Observation:
        observation = Observation(self._recorder, operation, current())
        about = event.model_dict if operation != "retrieval" else {}
        names = (text(about.get("model")), text(about.get("model_name")))
        model = next((name for name in names if name and name != _UNNAMED), None)
        given = self._recorder.fields.get("provider")
        provider = given or _PROVIDERS.get(about.get("class_name", ""))
        observation.set(model=model, requested_model=model, provider=provider, **labels(event.tags))
        observation.enter()
        return self._runs.add((operation, event.span_id), observation)

    def _part(self, event: Any) -> None:
        observation = self._runs.get((_operation(event), event.span_id))
        if observation is not None:
            observation.set(stream=True)
            _read_part(event.response, observation)
            observation.touch()

    def _end_model(self, event: Any) -> None:
        observation = self._runs.pop((_operation(event), event.span_id))
        if observation is None:
            return
        with guarded("an answer of LlamaIndex can't be read"):
            _read(event.response, observation)
        observation.end()

    def _end(self, operation: str, span: str | None, **fields: Any) -> None:
        observation = self._runs.pop((operation, span))
        if observation is not None:
            observation.set(**fields)
            observation.end()


class _Failures(BaseSpanHandler[BaseSpan]):
    """Tells the exceptions of spans, which LlamaIndex's events have only as a text."""

    _handler: _Events = PrivateAttr()

    def __init__(self, handler: _Events) -> None:
        super().__init__()
        self._handler = handler

    @classmethod
    def class_name(cls) -> str:
        return "LlmvitalsFailures"

    def span_drop(self, id_: str, *_: Any, err: BaseException | None = None, **__: Any) -> None:
        with guarded("a failure in LlamaIndex can't be read"):
            self._handler.fail(id_, err)

    def new_span(self, *_: Any, **__: Any) -> None:
        return None

    def prepare_to_exit_span(self, *_: Any, **__: Any) -> None:
        return None

    def prepare_to_drop_span(self, *_: Any, **__: Any) -> None:
        return None


def _texts(messages: Sequence[Any]) -> list[Any] | None:
    """The messages; None if one of them has something else than texts, such as an image."""
    if any(block.block_type != "text" for message in messages for block in message.blocks):
        return None
    return [{"content": message.content, "arguments": message.additional_kwargs} for message in messages]


def _parameters(event: Any) -> Json:
    return {**mapping(event.model_dict), **mapping(event.additional_kwargs)}


def _operation(event: Any) -> str:
    return "chat" if isinstance(event, LLMChatEndEvent | LLMChatInProgressEvent) else "completion"


def _read_part(response: Any, observation: Observation) -> None:
    """Read a part of a stream."""
    raw: Json = dumped(response.raw) if response.raw is not None else {}
    if raw.get("object") == _CHUNK:
        OpenAIAnswer(observation).chunk(raw)
    else:
        observation.received(response.delta)


def _read(response: Any, observation: Observation) -> None:
    """Read LlamaIndex's answer, or the last part of a stream: what the provider has said is in `raw`."""
    if response is None or response.raw is None:
        return
    raw: Json = dumped(response.raw)
    if raw.get("object") == _CHUNK:
        return
    if observation.output_bytes:  # the parts have been read
        observation.set(response_id=raw.get("id"), model=text(raw.get("model")), **usage_of(raw.get("usage")))
    elif "stop_reason" in raw:
        AnthropicAnswer(observation).whole(raw)
    else:
        OpenAIAnswer(observation).whole(raw)
