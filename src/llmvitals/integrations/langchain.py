"""Observes LangChain and LangGraph: `callbacks=[LlmvitalsHandler(publisher)]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from llmvitals.integrations.guard import guarded
from llmvitals.integrations.observation import EventPublisher, Observation, Recorder, current
from llmvitals.integrations.runs import Runs, labels
from llmvitals.lenient import listed, mapping, text, tier
from llmvitals.texts import plain
from llmvitals.usage import usage_of

__all__ = ["LlmvitalsHandler"]

_INSTRUMENTOR: Final = "llmvitals.langchain"
_RUN: Final = ("run-", "lc_")
"""How the ids of messages begin that LangChain has made up."""


class LlmvitalsHandler(BaseCallbackHandler):
    """Publishes the calls of models, the runs of tools and the searches of a chain or graph.

    Chains give their trace to what is inside. `metadata` of the configuration may have labels: `user_id`,
    `session_id`, `thread_id`, `team` and others. texts: whether events have the last user message and the
    answer. fields: of every call, as `llmvitals schema call` names them.
    """

    run_inline = True  # so that what is called inside knows of it, in asynchronous code too

    def __init__(self, publisher: EventPublisher, *, texts: bool = False, **fields: Any) -> None:
        self._recorder = Recorder(publisher, _INSTRUMENTOR, texts, fields)
        self._runs = Runs()

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[Any]], *, run_id: UUID, **more: Any
    ) -> None:
        """Begin a call."""
        with guarded("a call of LangChain can't be read"):
            observation = self._begin_model("chat", run_id, more)
            conversation = messages[0] if messages else []
            users = [message.content for message in conversation if message.type == "human"]
            last = plain(users[-1]) if users else None
            observation.sent(list(map(_texts, conversation)), last, mapping(more.get("invocation_params")))

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **more: Any
    ) -> None:
        """Begin a call of a model without messages."""
        with guarded("a call of LangChain can't be read"):
            observation = self._begin_model("completion", run_id, more)
            last = prompts[-1] if prompts else None
            observation.sent(prompts, last, mapping(more.get("invocation_params")))

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **_: Any) -> None:
        """Note a part of a streamed answer."""
        observation = self._runs.get(run_id)
        if observation is None:
            return
        with guarded("a part of an answer can't be read"):
            observation.set(stream=True)
            observation.received(token if isinstance(token, str) else plain(listed(token)))
            message = getattr(chunk, "message", None)  # only chunks of chats have one
            for call in getattr(message, "tool_call_chunks", None) or ():
                observation.first_token()
                observation.received(call.get("args"), shown=False)
            observation.touch()

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """Publish the call."""
        observation = self._runs.pop(run_id)
        if observation is None:
            return
        with guarded("an answer of LangChain can't be read"):
            _read(response, observation)
        observation.end()

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Publish the call that failed, or whose stream was closed."""
        self._fail(run_id, error)

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **more: Any) -> None:
        """Begin a part of the trace."""
        with guarded("a chain can't be read"):
            self._begin(None, run_id, more)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """End a part of the trace."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End a part of the trace; the call in it that failed has its own event."""
        self._end(run_id)

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **more: Any) -> None:
        """Begin the run of a tool."""
        with guarded("the run of a tool can't be read"):
            name = text(mapping(serialized).get("name")) or text(more.get("name")) or "tool"
            self._begin("tool", run_id, more).set(tools=[{"name": name}])

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """Publish the run of a tool."""
        self._end(run_id)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Publish the run of a tool that failed."""
        self._fail(run_id, error)

    def on_retriever_start(self, serialized: Any, query: str, *, run_id: UUID, **more: Any) -> None:
        """Begin a search."""
        with guarded("a search can't be read"):
            self._begin("retrieval", run_id, more)

    def on_retriever_end(self, documents: Sequence[Any], *, run_id: UUID, **_: Any) -> None:
        """Publish a search, with the number of documents."""
        self._end(run_id, retrieval={"documents": len(documents)})

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Publish a search that failed."""
        self._fail(run_id, error)

    def _begin(self, operation: str | None, run: UUID, more: dict[str, Any]) -> Observation:
        parent = self._runs.get(more.get("parent_run_id")) or _around()
        observation = Observation(self._recorder, operation, parent)
        observation.set(**labels(more.get("metadata")))
        observation.enter()
        return self._runs.add(run, observation)

    def _begin_model(self, operation: str, run: UUID, more: dict[str, Any]) -> Observation:
        observation = self._begin(operation, run, more)
        metadata, asked = mapping(more.get("metadata")), mapping(more.get("invocation_params"))
        model = text(metadata.get("ls_model_name")) or text(asked.get("model") or asked.get("model_name"))
        given = self._recorder.fields.get("provider")
        observation.set(
            model=model, requested_model=model, provider=given or text(metadata.get("ls_provider"))
        )
        return observation

    def _end(self, run: UUID, **fields: Any) -> None:
        observation = self._runs.pop(run)
        if observation is not None:
            observation.set(**fields)
            observation.end()

    def _fail(self, run: UUID, error: BaseException) -> None:
        observation = self._runs.pop(run)
        if observation is not None:
            observation.failed(error)


def _around() -> Observation | None:
    """The innermost observation that is not LangChain's, which tells itself what is inside of what.

    It tells no end of a call that was cancelled, and a stream is open while its reader makes other calls.
    """
    found = current()
    while found is not None and found.recorder.instrumentor == _INSTRUMENTOR:
        found = found.parent
    return found


def _texts(message: Any) -> dict[str, Any]:
    """What a model reads of a message: its content, and the tools that an earlier answer asked for."""
    calls = getattr(message, "tool_calls", None) or ()  # only answers have them
    return {"content": message.content, "arguments": [[call["name"], call["args"]] for call in calls]}


def _read(response: Any, observation: Observation) -> None:
    """Read LangChain's LLMResult."""
    output = mapping(response.llm_output)
    generation = response.generations[0][0]
    message = getattr(generation, "message", None)  # a completion has none
    about = mapping(message.response_metadata if message else generation.generation_info)
    usage = message.usage_metadata if message else None
    ids = (about.get("id"), output.get("id"), message.id if message else None)
    answer = next((name for name in ids if isinstance(name, str) and not name.startswith(_RUN)), None)
    observation.set(
        response_id=answer,
        model=text(about.get("model_name") or about.get("model") or output.get("model_name")),
        finish_reason=text(about.get("finish_reason") or about.get("stop_reason") or about.get("status")),
        service_tier=tier(about.get("service_tier")),
        **usage_of(dict(usage) if usage else output.get("token_usage") or output.get("usage")),
    )
    for call in message.tool_calls if message and message.type == "ai" else ():
        observation.tool(text(call.get("name")))
    if observation.output_bytes == 0:
        observation.received(generation.text)
