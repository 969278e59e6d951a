"""Observes the clients that Stainless generates: OpenAI's and Anthropic's.

Each method of such a client, also `with_raw_response`, `parse` and `stream`, goes through its public
`request`, with the client's retries inside of it. So that is the one place where calls are observed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from llmvitals.integrations.bodies import Json, dumped
from llmvitals.integrations.guard import guarded
from llmvitals.integrations.observation import Observation, Recorder, current
from llmvitals.integrations.streams import StreamObserver, observe_stream

C = TypeVar("C")
_RAW: Final = "X-Stainless-Raw-Response"


class Answer(Protocol):
    """Reads the parts of one answer into its observation."""

    def whole(self, body: Json) -> None:
        """Read an answer that came as a whole."""

    def chunk(self, body: Json) -> bool:
        """Read a chunk of a stream; whether the application gets it."""


class Api(Protocol):
    """Knows the requests and answers of a provider. Requests to other paths are not observed."""

    @property
    def operations(self) -> Mapping[str, str]:
        """Path → operation."""

    def provider(self, client: Any) -> str | None:
        """Who is called; None if the model tells it or nobody knows."""

    def request(self, body: Json, observation: Observation, *, stream: bool) -> tuple[Json, Answer]:
        """Read a request; returns the body that is sent, and the reader of its answer."""


def observe_client(client: C, recorder: Recorder, api: Api) -> C:
    """Observe a client in place and return it. A client that is observed already stays as it is.

    Raises TypeError if it is none.
    """
    observed: Any = client
    if not hasattr(observed, "request") or not hasattr(observed, "copy"):
        name = type(client).__name__
        raise TypeError(f"wrap() takes a client, such as OpenAI() or AsyncAnthropic(), and not {name}")
    if isinstance(observed.request, _Request):
        return client
    request: Any = _Request(observed.request, client, recorder, api)
    copy = observed.copy

    def copied(*args: Any, **kwargs: Any) -> Any:
        return observe_client(copy(*args, **kwargs), recorder, api)

    observed.request = request
    observed.copy = observed.with_options = copied
    return client


class _Request:
    """Stands in for a client's `request`, for clients that block and asynchronous ones."""

    def __init__(self, request: Callable[..., Any], client: Any, recorder: Recorder, api: Api) -> None:
        self._request, self._recorder, self._api = request, recorder, api
        self._provider = recorder.fields.get("provider") or api.provider(client)
        self._asynchronous = inspect.iscoroutinefunction(request)

    def __call__(self, cast_to: Any, options: Any, *, stream: bool = False, **more: Any) -> Any:
        call = self._begin(options, stream)
        if call is None:
            return self._request(cast_to, options, stream=stream, **more)
        answering = self._answer_later if self._asynchronous else self._answer
        return answering(call, cast_to, stream=stream, **more)

    def _answer(self, call: _Call, cast_to: Any, **more: Any) -> Any:
        try:
            result = self._request(cast_to, call.options, **more)
        except BaseException as error:
            call.failed(error)
            raise
        with guarded("an answer can't be read"):
            call.answered(result.parse() if call.parses else result)
        return result

    async def _answer_later(self, call: _Call, cast_to: Any, **more: Any) -> Any:
        try:
            result = await self._request(cast_to, call.options, **more)
        except BaseException as error:
            call.failed(error)
            raise
        with guarded("an answer can't be read"):
            parsed = result.parse() if call.parses else result
            call.answered(await parsed if inspect.isawaitable(parsed) else parsed)
        return result

    def _begin(self, options: Any, stream: bool) -> _Call | None:
        with guarded("a request can't be read"):
            operation = self._api.operations.get(options.url.partition("?")[0])
            if operation is None or options.method.lower() != "post":
                return None
            observation = Observation(self._recorder, operation, current())
            observation.set(provider=self._provider, stream=stream)
            headers = options.headers if isinstance(options.headers, Mapping) else {}
            body = options.json_data if isinstance(options.json_data, Mapping) else {}
            reads_bytes = headers.get(_RAW) == "stream"
            sent, answer = self._api.request(body, observation, stream=stream and not reads_bytes)
            call = _Call(observation, answer, options, stream, None if reads_bytes else _RAW in headers)
            changed: dict[str, Any] = {} if sent is body else {"json_data": sent}
            if callable(options.post_parser):
                changed["post_parser"] = call.parser(options.post_parser)
            return call._replace(options=options.model_copy(update=changed)) if changed else call
        return None


class _Call(NamedTuple):
    """One request.

    options: as they are sent. parses: whether the application gets the response and parses it by itself;
    None: it may also read its bytes by itself, which nobody observes.
    """

    observation: Observation
    answer: Answer
    options: Any
    stream: bool
    parses: bool | None

    def failed(self, error: BaseException) -> None:
        """Note what the client raised."""
        self.observation.fail(error)
        self.observation.end()

    def parser(self, parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Read the answer before the client parses what is in it, as a failure there hides the answer."""

        def read_and_parse(result: Any) -> Any:
            self._read(result)
            return parse(result)

        return read_and_parse

    def answered(self, result: Any) -> None:
        """Read the result, or observe it if it is a stream."""
        if self.parses is not None and self.stream:
            with guarded("a stream can't be observed"):
                observe_stream(result, StreamObserver(self.observation, self._chunk))
                return
        elif self.parses is not None and not callable(self.options.post_parser):
            self._read(result)
        self.observation.end()

    def _read(self, result: Any) -> None:
        with guarded("an answer can't be read"):
            self.answer.whole(dumped(result))

    def _chunk(self, chunk: Any) -> bool:
        return self.answer.chunk(dumped(chunk))
