"""A span of a trace, and a vocabulary of its attributes. Attributes are converted only when they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmvitals.ingest.values import count, flag, number, text


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
    start: int
    end: int
    failed: bool
    scope: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[Event]
    plain: Callable[[Any], Any]

    def get(self, *names: str) -> Any:
        """The value of the first of these attributes that exists, else None."""
        for name in names:
            if name in self.attributes:
                return self.plain(self.attributes[name])
        return None

    def text(self, *names: str) -> str | None:
        """A name of at most 128 characters."""
        return text(self.get(*names))

    def count(self, *names: str) -> int | None:
        """A count of tokens."""
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


class Dialect(NamedTuple):
    """A vocabulary of span attributes.

    prefixes: spans without an attribute whose name begins with one of these are skipped. read: the fields of
    the span's call, None if it is no call. read_texts: the fields of its texts.
    """

    prefixes: tuple[str, ...]
    read: Callable[[Span], dict[str, Any] | None]
    read_texts: Callable[[Span], dict[str, Any]]
