"""Removes duplicates of a call that several spans of one record report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from llmvitals.ingest.span import Span

_WRAPPER_FIELDS: Final = ("session", "user", "agent", "prompt_name", "prompt_version")
_MAX_DEPTH: Final = 1_000


@dataclass(slots=True)
class SpanCall:
    """A span that is a call, and the fields of the call."""

    span: Span
    fields: dict[str, Any]

    @property
    def response_id(self) -> str | None:
        """The provider's id of the response, which several instrumentors may report."""
        return self.fields.get("response_id")


def deduplicated(calls: list[SpanCall], links: list[tuple[str, str]]) -> list[SpanCall]:
    """Return each call once. links: the ids of every span in the record and of its parent.

    A span around another call is a wrapper: the inner call counts, and gets the missing fields of the
    wrapper. Spans of different instrumentors with the same response id and overlapping times are one call,
    also across traces. An instrumentor reports a call once: a second call with that id is another one, such
    as a cache hit.
    """
    if len(calls) < 2:
        return calls
    kept = _without_wrappers(calls, dict(links))
    by_response: dict[str, list[SpanCall]] = {}
    unique = []
    for call in kept:
        same_response = by_response.setdefault(call.response_id, []) if call.response_id else []
        duplicate = next((other for other in same_response if _is_same_call(call, other)), None)
        if duplicate:
            _fill_in(duplicate, call, tuple(duplicate.fields))
        else:
            same_response.append(call)
            unique.append(call)
    return unique


def _without_wrappers(calls: list[SpanCall], parents: dict[str, str]) -> list[SpanCall]:
    models = {call.span.span_id: call for call in calls if call.fields["operation"] in ("chat", "completion")}
    wrappers = set()
    for inner in models.values():
        above = parents.get(inner.span.span_id, "")
        for _ in range(_MAX_DEPTH):
            outer = models.get(above)
            if outer is not None and outer is not inner:
                wrappers.add(above)
                same_response = outer.response_id is not None and outer.response_id == inner.response_id
                _fill_in(inner, outer, tuple(inner.fields) if same_response else _WRAPPER_FIELDS)
            if not above:
                break
            above = parents.get(above, "")
    return [call for call in calls if call.span.span_id not in wrappers]


def _is_same_call(call: SpanCall, other: SpanCall) -> bool:
    a, b = call.span, other.span
    return a.scope != b.scope and a.start <= b.end and b.start <= a.end


def _fill_in(call: SpanCall, other: SpanCall, names: Iterable[str]) -> None:
    for name in names:
        if call.fields.get(name) is None:
            call.fields[name] = other.fields.get(name)
