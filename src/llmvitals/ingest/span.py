"""A span of a trace, read only where it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmvitals.ingest.values import count, flag, number, text


class Event(NamedTuple):
    """Something that happened during a span: its name, when (ns), and its attributes as they came."""

    name: str
    time: int
    attributes: dict[str, Any]


@dataclass(slots=True)
class Span:
    """One span. Times are ns since 1970, ids are hex.

    attributes, resource: name → value as it came; plain makes a Python value of one.
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
        """The value under the first of these names that is there; None if none is."""
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
        """A name that the resource (service, host) carries."""
        return next((text(self.plain(self.resource[name])) for name in names if name in self.resource), None)
