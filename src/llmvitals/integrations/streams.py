"""Observes the streams of OpenAI's and Anthropic's clients while the application reads them."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from typing import Any

from llmvitals.integrations.guard import guarded
from llmvitals.integrations.observation import Observation

Read = Callable[[Any], bool]
"""Reads a chunk; returns whether the application gets it."""


class StreamObserver:
    """Tells the observation what becomes of a stream."""

    def __init__(self, observation: Observation, read: Read) -> None:
        self.observation, self._read = observation, read

    def shows(self, chunk: Any) -> bool:
        """Read a chunk; whether the application gets it."""
        shown = True
        with guarded("a part of an answer can't be read"):
            shown = self._read(chunk)
        self.observation.touch()
        return shown

    def failed(self, error: BaseException) -> None:
        """End the observation, unless somebody only stopped to iterate: they may go on later."""
        if not isinstance(error, GeneratorExit):
            self.observation.fail(error)
            self.observation.end()


def observe_stream(stream: Any, observer: StreamObserver) -> None:
    """Observe a stream of a client in place.

    The application gets the client's own object: of a subclass of its class, with the same attributes. A
    stream that is closed or dropped before its end ends its observation.
    """
    subclass = _async_class if hasattr(stream, "__anext__") else _class
    stream.llmvitals_observer = observer
    base: type = type(stream)
    stream.__class__ = subclass(base)
    weakref.finalize(stream, observer.observation.close)


@lru_cache(maxsize=64)
def _class(base: Any) -> Any:
    class ObservedStream(base):  # type: ignore[misc]
        llmvitals_observer: StreamObserver

        def __next__(self) -> Any:
            observer = self.llmvitals_observer
            try:
                chunk = super().__next__()
                while not observer.shows(chunk):
                    chunk = super().__next__()
            except StopIteration:
                observer.observation.end()
                raise
            except BaseException as error:
                observer.failed(error)
                raise
            return chunk

        def __iter__(self) -> Iterator[Any]:
            observer = self.llmvitals_observer
            try:
                for chunk in super().__iter__():
                    if observer.shows(chunk):
                        yield chunk
            except BaseException as error:
                observer.failed(error)
                raise
            observer.observation.end()

        def close(self) -> None:
            self.llmvitals_observer.observation.close()
            super().close()

    return _named(ObservedStream, base)


@lru_cache(maxsize=64)
def _async_class(base: Any) -> Any:
    class ObservedAsyncStream(base):  # type: ignore[misc]
        llmvitals_observer: StreamObserver

        async def __anext__(self) -> Any:
            observer = self.llmvitals_observer
            try:
                chunk = await super().__anext__()
                while not observer.shows(chunk):
                    chunk = await super().__anext__()
            except StopAsyncIteration:
                observer.observation.end()
                raise
            except BaseException as error:
                observer.failed(error)
                raise
            return chunk

        async def __aiter__(self) -> AsyncIterator[Any]:
            observer = self.llmvitals_observer
            try:
                async for chunk in super().__aiter__():
                    if observer.shows(chunk):
                        yield chunk
            except BaseException as error:
                observer.failed(error)
                raise
            observer.observation.end()

        async def close(self) -> None:
            self.llmvitals_observer.observation.close()
            await super().close()

    return _named(ObservedAsyncStream, base)


def _named(observed: type, base: type) -> type:
    # Logs and errors of the application show the name that its client gave the class.
    observed.__name__, observed.__qualname__ = base.__name__, base.__qualname__
    observed.__module__ = base.__module__
    return observed
