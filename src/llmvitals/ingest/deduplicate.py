"""The same call, told by several spans of one record, counts once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from llmvitals.ingest.span import Span

_FROM_OUTSIDE: Final = ("session", "user", "agent", "prompt_name", "prompt_version")
_DEEP: Final = 1_000


@dataclass(slots=True)
class Found:
    """A span, the fields of the call in it, and the provider's id of the answer."""

    span: Span
    fields: dict[str, Any]
    response_id: str | None


def once(found: list[Found], links: list[tuple[str, str]]) -> list[Found]:
    """The calls among these, each once; links: the ids of every span in the record and of its parent.

    A span around an inner one is a wrapper: the inner counts, and learns from it who asked. Spans of
    different instrumentors with one answer at one time are one call, also across traces. (One
    instrumentor tells a call once: an answer's id that comes again from it is another call, as of a cache.)
    """
    if len(found) < 2:
        return found
    kept = _without_wrappers(found, dict(links))
    first: dict[str, list[Found]] = {}
    whole = []
    for one in kept:
        alike = first.setdefault(one.response_id, []) if one.response_id else []
        twin = next((other for other in alike if _same(one, other)), None)
        if twin:
            _learn(twin, one, tuple(twin.fields))
        else:
            alike.append(one)
            whole.append(one)
    return whole


def _without_wrappers(found: list[Found], parents: dict[str, str]) -> list[Found]:
    models = {one.span.span_id: one for one in found if one.fields["operation"] in ("chat", "completion")}
    wrappers = set()
    for inner in models.values():
        above = parents.get(inner.span.span_id, "")
        for _ in range(_DEEP):
            outer = models.get(above)
            if outer is not None and outer is not inner:
                wrappers.add(above)
                alike = outer.response_id is not None and outer.response_id == inner.response_id
                _learn(inner, outer, tuple(inner.fields) if alike else _FROM_OUTSIDE)
            if not above:
                break
            above = parents.get(above, "")
    return [one for one in found if one.span.span_id not in wrappers]


def _same(one: Found, other: Found) -> bool:
    a, b = one.span, other.span
    return a.scope != b.scope and a.start <= b.end and b.start <= a.end


def _learn(one: Found, other: Found, names: Iterable[str]) -> None:
    for name in names:
        if one.fields.get(name) is None:
            one.fields[name] = other.fields.get(name)
