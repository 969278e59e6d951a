"""`observe` and `update`: calls that no integration knows, and the labels of those that one knows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

from llmvitals.errors import suggestion
from llmvitals.integrations.event import OPERATIONS
from llmvitals.integrations.generators import observed_async_generator, observed_generator
from llmvitals.integrations.guard import warn
from llmvitals.integrations.observation import EventPublisher, Observation, Recorder, current

P = ParamSpec("P")
R = TypeVar("R")
_INSTRUMENTOR: Final = "llmvitals.observe"


class observe:  # noqa: N801 - it is used as a function, like contextlib's
    """Observes the body of a `with`, or each run of the function that it decorates.

        with observe(publisher, team="search", user="u-7"):       # labels for the calls inside
            client.responses.create(…)

        @observe(publisher, operation="tool", agent="planner")    # an event for each run
        async def look_up(name: str) -> str: …

        with observe(publisher, model="llama-3", provider="groq") as call:   # a call of a model by hand
            call.set(input_tokens=12, output_tokens=7)

    Functions, coroutines, generators and asynchronous generators stay what they are; of a generator the time
    to the first item is `ttft_ms`. What the body raises is raised; the event has its class. A cancelled task
    is an error of type `cancelled`; a generator that was closed early is no error.

    operation: of the event. None: `chat` if a `model` is set by the end, else there is no event, and the
    calls inside get the labels and the trace. A call of a model around calls that were observed themselves,
    of the same operation, has no event: the inner ones count. fields: of the event, as `llmvitals schema
    call` names them; those that say who (`team`, `user`, `session`, `tags`, …) go to the calls inside.
    """

    def __init__(self, publisher: EventPublisher, operation: str | None = None, **fields: Any) -> None:
        if operation is not None and operation not in OPERATIONS:
            warn(f"there is no operation {operation}{suggestion(operation, OPERATIONS)}. It is left out.")
            operation = None
        self._recorder = Recorder(publisher, _INSTRUMENTOR)
        self._operation, self._fields = operation, fields
        self._entered: list[tuple[Observation, Any]] = []

    def begin(self) -> Observation:
        """Begin an observation; the caller ends it."""
        observation = Observation(self._recorder, self._operation, current())
        observation.set(**self._fields)
        return observation

    def __enter__(self) -> Observation:
        observation = self.begin()
        context = observation.entered()
        context.__enter__()
        self._entered.append((observation, context))
        return observation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        observation, context = self._entered.pop()
        context.__exit__(None, None, None)
        if error is not None and not isinstance(error, GeneratorExit):
            observation.fail(error)
        observation.end()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function."""
        called: Any = function
        if self._operation == "tool":
            self._fields.setdefault("tools", [{"name": called.__name__}])
        wrapper: Any
        if inspect.isasyncgenfunction(function):
            wrapper = observed_async_generator(self.begin, called)
        elif inspect.isgeneratorfunction(function):
            wrapper = observed_generator(self.begin, called)
        elif inspect.iscoroutinefunction(function):

            @wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await called(*args, **kwargs)

        else:

            @wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return called(*args, **kwargs)

        return cast("Callable[P, R]", wrapper)

    def _again(self) -> observe:
        return observe(self._recorder.publisher, self._operation, **self._fields)


def update(**fields: Any) -> None:
    """Set fields of the innermost observation; outside of any, a warning says so."""
    observation = current()
    if observation is None:
        warn("update() was called outside of an observation: nothing is set.")
    else:
        observation.set(**fields)
