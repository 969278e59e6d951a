"""A vendor's REST API, and helpers to read its bodies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llmvitals.ingest.values import micros, millis, named_error
from llmvitals.lenient import mapping, text


class Request(NamedTuple):
    """A request to a vendor's API. arrived: when it came (µs since 1970)."""

    path: str
    body: Any
    arrived: int


@dataclass(slots=True)
class Found:
    """What a body tells of.

    events: the fields of a call event each; `id` holds the parts of the id, and `ts` µs. filtered: things
    that are no events, or not complete yet.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    filtered: int = 0

    def add(self, fields: dict[str, Any] | None) -> None:
        """Add an event; None: a thing that is none."""
        if fields is None:
            self.filtered += 1
        else:
            self.events.append(fields)


def joined(parts: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The events whose parts these are, by `id`: the start and the end of one may come apart.

    Of a field that several parts have the last one counts, but None tells nothing. A part without an id is
    an event of its own.
    """
    whole: dict[str | int, dict[str, Any]] = {}
    for place, part in enumerate(parts):
        known = {name: value for name, value in part.items() if value is not None}
        whole.setdefault(text(part.get("id")) or place, {}).update(known)
    return whole.values()


class Vendor(NamedTuple):
    """A vendor's API: the pattern that its paths match, and how to read a body."""

    path: re.Pattern[str]
    read: Callable[[Request], Found]


def period(start: Any, end: Any) -> dict[str, Any]:
    """`ts` and `latency_ms` of a period, whose ends are texts or seconds; nothing if it has not ended."""
    begun, ended = micros(start), micros(end)
    if ended is None:
        return {}
    return {"ts": ended, "latency_ms": None if begun is None else millis((ended - begun) / 1_000)}


def failure(error: Any, kind: Any = None) -> dict[str, Any]:
    """The status of a call: failed if there is an error; kind: what went wrong, where it is known."""
    if not error:
        return {"status": "ok"}
    return {"status": "error", "error_type": named_error(text(kind, 256), error) or "error"}


def evaluation(
    name: Any,
    value: Any,
    *,
    identity: tuple[str | None, ...],
    ts: int | None,
    target: Any = None,
    annotator: Any = None,
) -> dict[str, Any] | None:
    """An evaluation; None without a name. value: a number, a truth value, or a label that has no number."""
    named = text(name)
    if named is None:
        return None
    score = float(value) if isinstance(value, int | float) else None
    kind = text(annotator)
    return {
        "id": (*identity,),
        "ts": ts,
        "operation": "evaluation",
        "scores": None if score is None else {named: score},
        "labelled": named if score is None else None,
        "annotator": kind.lower() if kind else None,
        "target_id": text(target),
    }


def who(metadata: Any) -> dict[str, str | None]:
    """The dimensions that stand in a vendor's metadata by their usual names."""
    found = mapping(metadata)
    return {
        "user": text(found.get("user_id") or found.get("user")),
        "session": text(found.get("session_id") or found.get("thread_id") or found.get("conversation_id")),
        "team": text(found.get("team")),
        "tenant": text(found.get("tenant")),
        "environment": text(found.get("environment")),
    }
