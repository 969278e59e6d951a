"""A span of a trace, and a vocabulary of its attributes. Attributes are converted only when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from llmvitals.ingest.values import flag, millis, named_error, structure
from llmvitals.lenient import count, number, text

Kind = Literal["llm", "embedding", "retrieval", "tool", "guardrail", "evaluation"]


SpanKey = tuple[str, str]
"""Trace id and span id: only together they name a span, since some systems number the spans of each trace."""

Above = dict[SpanKey, SpanKey | None]
"""Span → one above it, None without one."""


def span_key(trace_id: str, span_id: str) -> SpanKey | None:
    """The key of a span; None without a span id."""
    return (trace_id, span_id) if span_id else None


class Event(NamedTuple):
    """An event of a span: name, time (ns), and the attributes as they were received."""

    name: str
    time: int
    attributes: dict[str, Any]


@dataclass(slots=True)
class Span:
    """One span. Times are ns since 1970, ids are hex.

    attributes, resource: name → value as it was received. plain: converts such a value to a Python value.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    failed: bool
    scope: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[Event]
    plain: Callable[[Any], Any]

    @property
    def key(self) -> SpanKey:
        """What names it among all spans."""
        return self.trace_id, self.span_id

    def has(self, *names: str) -> bool:
        """Whether one of these attributes exists."""
        return any(name in self.attributes for name in names)

    def get(self, *names: str) -> Any:
        """The value of the first of these attributes that exists, else None."""
        for name in names:
            if name in self.attributes:
                return self.plain(self.attributes[name])
        return None

    def text(self, *names: str) -> str | None:
        """A name of at most 128 characters: the first of these attributes that holds one."""
        return next(filter(None, (text(self.get(name)) for name in names if name in self.attributes)), None)

    def count(self, *names: str) -> int | None:
        """A count of tokens: the first of these attributes that exists."""
        return count(self.get(*names))

    def number(self, *names: str) -> float | None:
        """A finite number."""
        return number(self.get(*names))

    def flag(self, *names: str) -> bool | None:
        """True or False."""
        return flag(self.get(*names))

    def of_resource(self, *names: str) -> str | None:
        """The first of these attributes of the resource (service, host) that exists, as a name."""
        return next((text(self.plain(self.resource[name])) for name in names if name in self.resource), None)

    def structure(self, *names: str) -> Any:
        """The object or list that the first of these attributes holds, also as JSON in a text."""
        return structure(self.get(*names))

    def item_names(self, prefix: str) -> Iterator[str]:
        """`prefix.0`, `prefix.1`, … as long as attributes begin with them."""
        place = 0
        while any(name.startswith(item := f"{prefix}.{place}.") for name in self.attributes):
            yield item[:-1]
            place += 1

    @property
    def exception(self) -> Event | None:
        """The exception that the span recorded on itself."""
        return next((event for event in self.events if event.name == "exception"), None)

    @property
    def is_error(self) -> bool:
        """Whether the span has an error status or recorded an exception."""
        return self.failed or self.exception is not None

    @property
    def is_closed(self) -> bool:
        """Whether it ended because the application closed the stream, which Python tells as an exception."""
        return self.is_error and self.error_type() == "GeneratorExit"

    @property
    def last(self) -> int:
        """When it ended, or its last event, which may come later (ns)."""
        return max([self.end, *(event.time for event in self.events)])

    def error_type(self) -> str | None:
        """What went wrong: `error.type`, else the class of the exception without its module."""
        kind, message = text(self.get("error.type"), 256), None
        if kind is None and self.exception is not None:
            told = self.exception.attributes
            kind, message = (
                self.plain(told[f"exception.{name}"]) if f"exception.{name}" in told else None
                for name in ("type", "message")
            )
        return named_error(text(kind, 256), message)

    def latency(self) -> float | None:
        """Milliseconds; None if the span was closed before its own events, so that its length is wrong."""
        if any(event.time > self.end for event in self.events if event.name != "exception"):
            return None
        return millis((self.end - self.start) / 1_000_000)

    def since_start(self, *events: str) -> float | None:
        """Milliseconds until the first event of one of these names; None without one."""
        times = [event.time for event in self.events if event.name in events]
        return millis((min(times) - self.start) / 1_000_000) if times else None


class Item(NamedTuple):
    """A span or log record of an export.

    key: of the span. parent: the key of the span above it, None without one. make: reads it, and may raise
    what reading a wrong structure raises; None if it has no attribute of interest.
    """

    key: SpanKey
    parent: SpanKey | None
    make: Callable[[], Span] | None


class Reading(NamedTuple):
    """One thing that a span tells of: its kind, and the fields of the call event."""

    kind: Kind
    fields: dict[str, Any]


NOTHING: Final[tuple[Reading, ...]] = ()
"""A dialect knows the span, and it tells of nothing that counts."""


def no_texts(_: Span) -> dict[str, Any]:
    """The fields of the texts of a vocabulary without texts."""
    return {}


class Dialect(NamedTuple):
    """A vocabulary of span attributes.

    prefixes: spans without an attribute whose name begins with one of these are skipped. read: what the span
    tells of; None if it is not in this vocabulary. read_texts: the fields of its texts. read_lengths: the
    fields that bound the tokens of a call without usage.
    """

    prefixes: tuple[str, ...]
    read: Callable[[Span], tuple[Reading, ...] | None]
    read_texts: Callable[[Span], dict[str, Any]] = no_texts
    read_lengths: Callable[[Span], dict[str, Any]] = no_texts
