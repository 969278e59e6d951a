"""Observes LlamaIndex: `llamaindex.instrument(publisher)`."""

from __future__ import annotations

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
from llmvitals.integrations.observation import Observation, Publishes, Recorder
from llmvitals.integrations.openai_answers import OpenAIAnswer
from llmvitals.integrations.prompts import characters
from llmvitals.integrations.runs import Runs, labels
from llmvitals.lenient import text

_INSTRUMENTOR: Final = "llmvitals.llamaindex"
_PROVIDERS: Final = {"openai_llm": "openai", "Anthropic_LLM": "anthropic"}
"""Name of LlamaIndex's class → provider, where the class knows only one."""
_Key = tuple[str, str | None]
"""Operation and span: a span of LlamaIndex may have a call and a search."""


def instrument(publisher: Publishes, *, texts: bool = False, **fields: Any) -> LlmvitalsEventHandler:
    """Observe LlamaIndex in all of this process; once is enough. Returns the handler of its events.

    Calls of models, embeddings and searches have an event each. `instrument_tags` of LlamaIndex may have
    labels, such as `user_id` and `team`. texts: whether events have the last user message and the answer.
    fields: of every call, as `llmvitals schema call` names them.
    """
    handler = LlmvitalsEventHandler()
    handler.prepare(Recorder(publisher, _INSTRUMENTOR, texts, fields))
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    dispatcher.add_span_handler(_Failures(handler))
    return handler


class LlmvitalsEventHandler(BaseEventHandler):
    """Begins and ends observations by LlamaIndex's events."""

    _recorder: Recorder = PrivateAttr()
    _runs: Runs = PrivateAttr(default_factory=Runs)

    @classmethod
    def class_name(cls) -> str:
        """LlamaIndex's name of the class."""
        return "LlmvitalsEventHandler"

    def prepare(self, recorder: Recorder) -> None:
        """Set where calls go; pydantic keeps it out of the constructor."""
        self._recorder = recorder

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take an event."""
        with guarded("an event of LlamaIndex can't be read"):
            match event:
                case LLMChatStartEvent():
                    users = [m.content for m in event.messages if str(m.role.value) == "user"]
                    length = sum(len(m.content or "") for m in event.messages)
                    self._begin("chat", event).sent(length, users[-1] if users else None)
                case LLMCompletionStartEvent():
                    self._begin("completion", event).sent(characters(event.prompt), event.prompt)
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
            if observation is None:
                continue
            if isinstance(error, GeneratorExit):
                observation.close()
            else:
                observation.fail(error or "error")
                observation.end()

    def _begin(self, operation: str, event: Any) -> Observation:
        observation = Observation(self._recorder, operation)
        about = event.model_dict if operation != "retrieval" else {}
        model = text(about.get("model") or about.get("model_name"))
        given = self._recorder.fields.get("provider")
        provider = given or _PROVIDERS.get(about.get("class_name", ""))
        observation.set(model=model, requested_model=model, provider=provider, **labels(event.tags))
        return self._runs.add((operation, event.span_id), observation)

    def _part(self, event: Any) -> None:
        observation = self._runs.get((_operation(event), event.span_id))
        if observation is not None:
            observation.set(stream=True)
            observation.touch()
            observation.received(event.response.delta)

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

    _handler: LlmvitalsEventHandler = PrivateAttr()

    def __init__(self, handler: LlmvitalsEventHandler) -> None:
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


def _operation(event: Any) -> str:
    return "chat" if isinstance(event, LLMChatEndEvent | LLMChatInProgressEvent) else "completion"


def _read(response: Any, observation: Observation) -> None:
    """Read LlamaIndex's answer: what the provider has said is in `raw`."""
    if response is None or response.raw is None:
        return
    raw: Json = dumped(response.raw)
    answer = AnthropicAnswer(observation) if "stop_reason" in raw else OpenAIAnswer(observation)
    streamed = observation.output_chars > 0 or raw.get("object") == "chat.completion.chunk"
    if streamed:
        answer.chunk(raw)
    else:
        answer.whole(raw)
