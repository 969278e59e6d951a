"""One call that is under way: what is known of it, the calls around it, and its event at the end."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from llmvitals.integrations import twins
from llmvitals.integrations.event import LABELS, event, known, merged
from llmvitals.integrations.guard import guarded
from llmvitals.lengths import is_metered, request_lengths
from llmvitals.record.call import MODEL_OPERATIONS

CANCELLED: Final = "cancelled"
"""The error type of a call whose task was cancelled; the finish reason of a stream that was closed early."""


class EventPublisher(Protocol):
    """What takes events: `llmvitals.Publisher`, or a list in a test."""

    def publish(self, call: Mapping[str, Any], /) -> object:
        """Take an event, without blocking and without raising."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """What all calls of an integration have in common.

    instrumentor: its name in events. texts: whether events have the last user message and the answer. fields:
    of every call, such as `team`; what is set nearer to the call goes before.
    """

    publisher: EventPublisher
    instrumentor: str
    texts: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)


_innermost: ContextVar[Observation | None] = ContextVar("llmvitals_observation", default=None)


def current() -> Observation | None:
    """The innermost observation that has not ended, around the code that asks."""
    found = _innermost.get()
    # Frameworks tell the end of a call in another context than its beginning: so nothing is reset at the
    # end, and what has ended is passed over here.
    while found is not None and found.ended:
        found = found.parent
    return found


class Observation:
    """A call that is under way, or a part of the application with calls in it.

    operation: as in events. None: a chat if a `model` is set, else no call: it only gives its labels and its
    trace to the calls inside. parent: the one around it, mostly `current()`. Safe to use from several
    threads. No method raises.
    """

    def __init__(self, recorder: Recorder, operation: str | None, parent: Observation | None) -> None:
        self.recorder, self.operation, self.parent = recorder, operation, parent
        self.trace_id: str = parent.trace_id if parent else secrets.token_hex(16)
        self.span_id: str = secrets.token_hex(8)
        self.ended = False
        self.output_bytes = 0
        """UTF-8 bytes that came back, arguments of tools included."""
        self._request: dict[str, int | None] = {}
        self._fields: dict[str, Any] = {}
        self._tools: list[str] = []
        self._output: list[str] = []
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last: float | None = None
        self._lock = threading.Lock()
        self.inside = twins.CallsInside()
        self._around = [ancestor for ancestor in self._ancestors() if ancestor.may_wrap(recorder)]
        for ancestor in self._around if operation in MODEL_OPERATIONS else ():
            ancestor.inside.begin(str(operation))

    def set(self, **fields: Any) -> None:
        """Set fields of the event, as `llmvitals schema call` names them; None changes nothing.

        `tags` are added to those that are there. Labels go to the calls that begin inside from now on.
        """
        with guarded("fields of a call can't be set"):
            self._fields = merged(self._fields, known(fields))

    def sent(
        self, messages: Any, last_user_text: str | None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Note what was sent to the model: its length, and the text only if texts are asked for.

        messages: all that the model reads, None if not all of it is known. parameters: of the request.
        """
        self._request = request_lengths(messages, None, parameters or {})
        if self.recorder.texts:
            self.set(input_text=last_user_text)

    def received(self, text: object, *, shown: bool = True) -> None:
        """Note a part of the answer, if it is a text.

        shown: False for thoughts and arguments of tools, which no event holds.
        """
        if not isinstance(text, str) or not text:
            return
        self.first_token()
        self.output_bytes += len(text.encode(errors="replace"))
        if shown and self.recorder.texts:
            self._output.append(text)

    def tool(self, name: str | None) -> None:
        """Note a tool that the answer asks for."""
        if name:
            self.first_token()
            self._tools.append(name)

    def first_token(self) -> None:
        """Note the time; only the first time counts."""
        if self._first is None:
            self._first = time.perf_counter()

    def fail(self, error: BaseException | str) -> None:
        """Note that the call failed, by the class of the exception and never by its text."""
        if isinstance(error, asyncio.CancelledError):
            error = CANCELLED
        self.set(status="error", error_type=error if isinstance(error, str) else type(error).__name__)

    def failed(self, error: BaseException | str) -> None:
        """End with an exception, or as a stream that was closed early if it is a GeneratorExit."""
        if isinstance(error, GeneratorExit):
            self.close()
        else:
            self.fail(error)
            self.end()

    def touch(self) -> None:
        """Note that a part of the answer has just come."""
        self._last = time.perf_counter()

    def close(self) -> None:
        """End a stream that the application did not read to its end, as of its last part."""
        if "finish_reason" not in self._fields:
            self.set(finish_reason=CANCELLED)
        self.end(self._last)

    def end(self, at: float | None = None) -> None:
        """Publish the event, once, however often this is called. at: of `time.perf_counter`; None: now."""
        with self._lock:
            if self.ended:
                return
            self.ended = True
        with guarded("a call can't be recorded"):
            # The clocks are read one after the other, so that a pause of the process makes no call end later.
            wall, now = time.time_ns(), time.perf_counter()
            ended = now if at is None else at
            self._publish(ended, (wall - round((now - ended) * 1e9)) // 1_000_000)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make it the innermost one for the body."""
        before = _innermost.get()
        _innermost.set(self)
        try:
            yield
        finally:
            _innermost.set(before)

    def enter(self) -> None:
        """Make it the innermost one until it ends."""
        _innermost.set(self)

    def labels(self, *, defaults: bool = False) -> dict[str, Any]:
        """The labels that calls inside get: its own, and before them those of what is around it.

        defaults: those of the integrations in place of those that were set.
        """
        fields = known(self.recorder.fields) if defaults else self._fields
        own = {name: fields[name] for name in LABELS if name in fields}
        return merged(self.parent.labels(defaults=defaults), own) if self.parent else own

    def _publish(self, ended: float, ts: int) -> None:
        defaults = merged(known(self.recorder.fields), self.labels(defaults=True))
        fields = merged(merged(defaults, self.labels()), self._fields)
        operation = self.operation or ("chat" if fields.get("model") else None)
        if operation is None or self._is_told_by_another(operation, fields.get("response_id"), ended):
            return
        made = {
            "id": f"{self.trace_id}-{self.span_id}",
            "ts": ts,
            "operation": operation,
            "model": "",
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self.parent.span_id if self.parent else None,
            "instrumentor": self.recorder.instrumentor,
            "latency_ms": _millis(ended - self._began),
            "ttft_ms": _millis(self._first - self._began) if fields.get("stream") and self._first else None,
            "tools": [{"name": name[:128]} for name in self._tools] or None,
        }
        told: dict[str, Any] = {"output_text": "".join(self._output)}
        if not is_metered(made | fields):
            told |= self._request | {"output_bytes": self.output_bytes or None}
        self.recorder.publisher.publish(event(made, told | fields))

    def _is_told_by_another(self, operation: str, answer: object, ended: float) -> bool:
        """Whether another instrumentor has told, or tells, of this call of a model."""
        if operation not in MODEL_OPERATIONS:
            return False
        name = answer if isinstance(answer, str) else None
        report = twins.Report(operation, name, self.recorder.instrumentor, self._began, ended)
        if self.inside.have(report) or twins.seen(self.recorder.publisher, report):
            return True
        for ancestor in self._around:
            ancestor.inside.add(report)
        return False

    def may_wrap(self, recorder: Recorder) -> bool:
        """Whether a call that begins now may be this one, seen from further inside.

        After a part of the answer has come, it is a call of whoever reads the stream.
        """
        return self._last is None and self.recorder.publisher is recorder.publisher

    def _ancestors(self) -> Iterator[Observation]:
        ancestor = self.parent
        while ancestor is not None:
            yield ancestor
            ancestor = ancestor.parent


def _millis(seconds: float) -> float:
    return round(seconds * 1_000, 3)
