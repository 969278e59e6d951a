"""Observes LiteLLM's SDK: `litellm.callbacks = [LlmvitalsLogger(publisher)]`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from litellm.integrations.custom_logger import CustomLogger

from llmvitals.integrations.bodies import dumped
from llmvitals.integrations.guard import guarded
from llmvitals.integrations.observation import EventPublisher, Observation, Recorder, current
from llmvitals.integrations.openai_answers import OpenAIAnswer
from llmvitals.integrations.runs import Runs, labels
from llmvitals.lenient import bare_model, mapping, number, text
from llmvitals.litellm_calls import is_call, operation_of
from llmvitals.texts import last_message

__all__ = ["LlmvitalsLogger"]

_INSTRUMENTOR: Final = "llmvitals.litellm"


class LlmvitalsLogger(CustomLogger):
    """Publishes the calls of LiteLLM's SDK, with the cost that LiteLLM has computed.

    `metadata` of a call may have labels: `user_id`, `session_id`, `team` and others. texts: whether events
    have the last user message and the answer. fields: of every call, as `llmvitals schema call` names them.
    For LiteLLM's proxy use its own callbacks: see docs/integrations.md.
    """

    def __init__(self, publisher: EventPublisher, *, texts: bool = False, **fields: Any) -> None:
        super().__init__()
        self._recorder = Recorder(publisher, _INSTRUMENTOR, texts, fields)
        self._runs = Runs()

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        """Begin a call: here, and not at its end, the observations around it are known."""
        with guarded("a call of LiteLLM can't be read"):
            self._runs.add(kwargs.get("litellm_call_id"), self._observation(kwargs))

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Publish a call."""
        self._end(kwargs, response_obj, start_time, end_time)

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Publish a call."""
        self._end(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Publish a call that failed."""
        self._end(kwargs, None, start_time, end_time)

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Publish a call that failed."""
        self._end(kwargs, None, start_time, end_time)

    def _observation(self, kwargs: dict[str, Any]) -> Observation:
        # It is not entered: LiteLLM tells its end from a thread, when the application has gone on.
        return Observation(self._recorder, operation_of(kwargs.get("call_type")), current())

    def _end(self, kwargs: dict[str, Any], response: Any, start: datetime, end: datetime) -> None:
        with guarded("a call of LiteLLM can't be read"):
            observation = self._runs.pop(kwargs.get("litellm_call_id")) or self._observation(kwargs)
            if not is_call(kwargs.get("call_type"), metered=False):
                return
            with guarded("a call of LiteLLM can't be read"):
                _read_request(kwargs, observation)
            with guarded("an answer of LiteLLM can't be read"):
                _read_answer(kwargs, response, observation)
            observation.set(id=_id(kwargs, end, failed=response is None), **_times(kwargs, start, end))
            observation.end()


def _id(kwargs: dict[str, Any], end: datetime, *, failed: bool) -> str | None:
    """The id that LiteLLM gives the call, as it may report one to both of its kinds of callbacks.

    All attempts of a request have one id: a failed one has its time added, so each counts.
    """
    name = text(kwargs.get("litellm_call_id"))
    return f"{name}-{round(end.timestamp() * 1_000_000)}" if name and failed else name


def _read_request(kwargs: dict[str, Any], observation: Observation) -> None:
    prompt = kwargs.get("messages") or kwargs.get("input")
    last = prompt if isinstance(prompt, str) else last_message(prompt, "user")
    observation.sent(prompt, last, mapping(kwargs.get("optional_params")))
    parameters = mapping(kwargs.get("litellm_params"))
    observation.set(
        provider=text(kwargs.get("custom_llm_provider") or parameters.get("custom_llm_provider")),
        user=text(kwargs.get("user") or mapping(kwargs.get("optional_params")).get("user")),
        requested_model=text(kwargs.get("model")),
        **labels(parameters.get("metadata")),
    )


def _read_answer(kwargs: dict[str, Any], response: Any, observation: Observation) -> None:
    if response is None:
        observation.fail(kwargs.get("exception") or "error")
    else:
        OpenAIAnswer(observation).whole(dumped(response))
    provider = text(kwargs.get("custom_llm_provider"))
    observation.set(
        model=bare_model(text(kwargs.get("model")), provider),
        stream=kwargs.get("stream") is True,
        cache_hit=kwargs.get("cache_hit") is True or None,
        cost_usd=(number(kwargs.get("response_cost")) or None) if response is not None else None,
    )


def _times(kwargs: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    first = kwargs.get("completion_start_time") if kwargs.get("stream") is True else None
    return {
        "ts": round(end.timestamp() * 1_000),
        "latency_ms": _millis(start, end),
        "ttft_ms": _millis(start, first) if isinstance(first, datetime) else None,
    }


def _millis(start: datetime, end: datetime) -> float:
    return round(max(0.0, (end - start).total_seconds()) * 1_000, 3)
