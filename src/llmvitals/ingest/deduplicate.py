"""Makes one event of what several spans of a record tell of the same thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmvitals.ingest.ancestors import Ancestors
from llmvitals.ingest.events import STOPPED, VERDICTS
from llmvitals.ingest.span import Above, Kind, Span, SpanKey

_USAGE: Final = (
    "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "cached_audio_tokens",
    "image_input_tokens", "image_output_tokens", "cost_usd",
)  # fmt: skip
_WRAPPER_FIELDS: Final = (
    "session", "user", "team", "tenant", "key", "agent", "prompt_name", "prompt_version", "tags",
)  # fmt: skip


@dataclass(slots=True)
class SpanEvent:
    """An event of a span. fields: of the call event; "inner": it only adds to the one around it."""

    span: Span
    kind: Kind
    fields: dict[str, Any]

    @property
    def response_id(self) -> str | None:
        """The provider's id of the response, which several instrumentors may report."""
        return self.fields.get("response_id")

    @property
    def is_metered(self) -> bool:
        """Whether it has token counts."""
        return self.fields.get("input_tokens") is not None or self.fields.get("output_tokens") is not None


def deduplicated(events: list[SpanEvent], parents: Above) -> list[SpanEvent]:
    """Return each event once. parents: of every span in the record.

    A model span around another one is a wrapper: the inner call counts, and gets what only the wrapper knows.
    Of nested embeddings, retrievals and guardrails the outermost counts. Spans of different instrumentors are
    one call if they have the same response id and overlapping times, also across traces, or if one lies
    within the other with the same model, status and tokens, as far as both know them. An instrumentor reports
    a call once: a second call with that response id is another one, such as a cache hit. A call that fails
    because a guardrail in it blocks is blocked, and did not fail.
    """
    if len(events) > 1:
        above = Ancestors(parents)
        for kind in ("embedding", "retrieval", "guardrail"):
            events = _outermost(events, kind, above)
        events = _without_inner_tools(_without_copies(events), above)
        _mark_blocked(events, above)
        events = _twins_as_one(_without_wrappers(events, above))
    return [event for event in events if not event.fields.get("inner")]


def _by_span(events: Iterable[SpanEvent]) -> dict[SpanKey, SpanEvent]:
    return {event.span.key: event for event in events}


def _outermost(events: list[SpanEvent], kind: Kind, above: Ancestors[SpanKey]) -> list[SpanEvent]:
    same = _by_span(event for event in events if event.kind == kind)
    if len(same) < 2:
        return events
    outer = above.nearest(same, same)
    inside = {span: around for span, around in outer.items() if around}
    # The innermost first: what an event knows goes up to the outermost one.
    for span in sorted(inside, key=lambda span: same[span].span.start, reverse=True):
        _absorb(same[inside[span]], same[span])
    return [event for event in events if event.kind != kind or event.span.key not in inside]


def _absorb(outer: SpanEvent, inner: SpanEvent) -> None:
    if outer.kind == "guardrail":
        verdicts = [entry["verdict"] for event in (outer, inner) for entry in event.fields["guardrails"]]
        worst = max(verdicts, key=VERDICTS.index)
        outer.fields["guardrails"] = [entry | {"verdict": worst} for entry in outer.fields["guardrails"]]
    elif not outer.is_metered:
        _fill_in(outer, inner, tuple(inner.fields))


def _without_copies(events: list[SpanEvent]) -> list[SpanEvent]:
    """LiteLLM reports a guardrail of a failed request under the call and under the request."""
    guardrails: dict[tuple[Any, ...], SpanEvent] = {}
    others = []
    for event in events:
        if event.kind == "guardrail":
            span = event.span
            names = tuple(entry["name"] for entry in event.fields["guardrails"])
            guardrails.setdefault((span.trace_id, span.scope, span.start, span.end, names), event)
        else:
            others.append(event)
    return [*others, *guardrails.values()] if guardrails else events


def _without_inner_tools(events: list[SpanEvent], above: Ancestors[SpanKey]) -> list[SpanEvent]:
    """Two instrumentors, or two functions of one, report a tool as spans within each other, with one name."""
    tools = _by_span(event for event in events if event.kind == "tool")
    if len(tools) < 2:
        return events
    outer = above.nearest(tools, tools)
    twins = {
        span
        for span, around in outer.items()
        if around
        and (tools[around].span.scope != tools[span].span.scope or above.parents[span] == around)
        and tools[around].fields["tools"] == tools[span].fields["tools"]
    }
    return [event for event in events if event.kind != "tool" or event.span.key not in twins]


def _mark_blocked(events: list[SpanEvent], above: Ancestors[SpanKey]) -> None:
    models = _by_span(event for event in events if event.kind == "llm")
    blocks = [
        event.span.key
        for event in events
        if event.kind == "guardrail"
        and any(entry["verdict"] == "block" for entry in event.fields["guardrails"])
    ]
    for span in above.nearest(blocks, models).values():
        if span and models[span].fields.get("status") == "error" and not models[span].is_metered:
            models[span].fields.update(STOPPED)


def _without_wrappers(events: list[SpanEvent], above: Ancestors[SpanKey]) -> list[SpanEvent]:
    models = _by_span(event for event in events if event.kind == "llm")
    # A model that a guardrail or an evaluator asks is not the answer of the call around it.
    others = _by_span(event for event in events if event.kind in ("guardrail", "evaluation"))
    outer = above.nearest(models, models, others)
    inner: dict[SpanKey, list[SpanEvent]] = {}
    for span, around in outer.items():
        if around:
            inner.setdefault(around, []).append(models[span])
    if not inner:
        return events
    tools = _by_span(event for event in events if event.kind == "tool")
    first_tool: dict[SpanKey | None, int] = {}
    for tool, around in above.nearest(tools, models).items():
        first_tool[around] = min(first_tool.get(around, tools[tool].span.start), tools[tool].span.start)
    dropped = set()
    for span in sorted(inner, key=lambda span: models[span].span.start):
        wrapper, calls = models[span], inner[span]
        if wrapper.response_id and [call.response_id for call in calls] == [wrapper.response_id]:
            # Two reports of one call: the outer one knows more, such as who asked.
            _fill_in(wrapper, calls[0], tuple(calls[0].fields))
            dropped.add(calls[0].span.key)
        elif not _is_call_itself(wrapper, calls, first_tool.get(span)):
            _hand_down(wrapper, calls)
            dropped.add(span)
    return [event for event in events if event.kind != "llm" or event.span.key not in dropped]


def _is_call_itself(wrapper: SpanEvent, inner: Sequence[SpanEvent], first_tool: int | None) -> bool:
    """Whether the wrapper's answer came before the inner calls, such as those of an agent that it asked for.

    Its answer asked for a tool then, and its instrumentor tells of other tokens than those of inner calls.
    first_tool: when the first tool in the wrapper began (ns).
    """
    if first_tool is None or first_tool > min(call.span.start for call in inner):
        return False
    same = all(call.is_metered and call.span.scope == wrapper.span.scope for call in inner)
    told = [_tokens(call) for call in inner]
    added_up = tuple(sum(count or 0 for count in counts) for counts in zip(*told, strict=True))
    return same and wrapper.is_metered and _tokens(wrapper) not in (*told, added_up)


def _hand_down(wrapper: SpanEvent, inner: Sequence[SpanEvent]) -> None:
    for call in inner:
        _fill_in(call, wrapper, _WRAPPER_FIELDS)
    if not wrapper.is_metered:
        return
    if len(inner) == 1 and _tokens(inner[0]) == _tokens(wrapper):
        _fill_in(inner[0], wrapper, tuple(wrapper.fields))
    elif not any(call.is_metered for call in inner):
        _fill_in(inner[-1], wrapper, _USAGE)


def _twins_as_one(events: list[SpanEvent]) -> list[SpanEvent]:
    if len({event.span.scope for event in events}) < 2:
        return events
    by_response: dict[str, list[SpanEvent]] = {}
    running: dict[tuple[Any, ...], list[tuple[int, SpanEvent]]] = {}
    reported: dict[SpanKey, set[str]] = {}
    unique = []
    for event in sorted(events, key=lambda event: event.span.start):
        if event.kind not in _TOLD_TWICE:
            unique.append(event)
            continue
        scope = event.span.scope
        responses = by_response.setdefault(event.response_id, []) if event.response_id else []
        alike = event.kind, event.fields.get("status")
        same = [(last, other) for last, other in running.get(alike, ()) if last >= event.span.start]
        same = running[alike] = same[-_MOST_COMPARED:]
        free = [other for _, other in same if scope not in reported[other.span.key]]
        near = [other for other in free if _is_same_call(event, other)]
        near.sort(key=lambda other: _distance(event.span, other.span))
        told = [other for other in responses if scope not in reported[other.span.key]]
        twin = next((other for other in told if _overlap(event, other)), next(iter(near), None))
        if twin:
            reported[twin.span.key].add(scope)
            _fill_in(twin, event, tuple(event.fields))
        else:
            reported[event.span.key] = {scope}
            responses.append(event)
            same.append((event.span.last, event))
            unique.append(event)
    return unique


_TOLD_TWICE: Final = ("llm", "embedding", "retrieval", "tool")
_RESULTS: Final = {"retrieval": "retrieval", "tool": "tools"}
_TOGETHER: Final = 20_000_000
"""How far apart (ns) the callbacks of two instrumentors may be."""
_MOST_COMPARED: Final = 256
"""Calls before a call that are compared with it, so that the time is linear over all calls of a record."""


def _overlap(event: SpanEvent, other: SpanEvent) -> bool:
    a, b = event.span, other.span
    return a.start <= b.end and b.start <= a.end


def _is_same_call(event: SpanEvent, other: SpanEvent) -> bool:
    """Whether nothing tells a call from one of another instrumentor around it, of which neither has an id."""
    a, b = event.span, other.span
    if event.response_id and other.response_id:
        return False
    if event.is_metered and other.is_metered and _tokens(event) != _tokens(other):
        return False
    if event.kind in _RESULTS and _differ(event.fields, other.fields, _RESULTS[event.kind]):
        return False
    models, others = _models(event), _models(other)
    return _is_within(a, b) and not (models and others and models.isdisjoint(others))


def _is_within(a: Span, b: Span) -> bool:
    """Whether one span lies within the other, or they begin and end together as callbacks of one call do.

    One that was closed too early only has to begin within the other.
    """
    if a.latency() is None or b.latency() is None:
        return a.start <= b.last and b.start <= a.last
    if (b.start <= a.start and a.end <= b.end) or (a.start <= b.start and b.end <= a.end):
        return True
    together = abs(a.start - b.start) <= _TOGETHER and abs(a.end - b.end) <= _TOGETHER
    return together and a.start <= b.end and b.start <= a.end


def _distance(a: Span, b: Span) -> int:
    return abs(a.start - b.start) + abs(a.end - b.end)


def _differ(fields: Mapping[str, Any], others: Mapping[str, Any], name: str) -> bool:
    """Whether two calls have this field, and not the same in it."""
    one, other = fields.get(name), others.get(name)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.get("documents") != other.get("documents")
    return one is not None and other is not None and one != other


def _tokens(event: SpanEvent) -> tuple[Any, ...]:
    return event.fields.get("input_tokens"), event.fields.get("output_tokens")


def _models(event: SpanEvent) -> set[str]:
    """The names of a call's model: the one that answered and the one that was asked, often without a date."""
    names = (event.fields.get("model"), event.fields.get("requested_model"))
    return {name.rpartition("/")[2] for name in names if name}


def _fill_in(event: SpanEvent, other: SpanEvent, names: Iterable[str]) -> None:
    for name in names:
        known = event.fields.get(name)
        # Instrumentors write 0 for tokens that they do not look at.
        is_unknown = known in _UNKNOWN or (known == 0 and name in _USAGE)
        if is_unknown and other.fields.get(name) not in _UNKNOWN:
            event.fields[name] = other.fields[name]


_UNKNOWN: Final = (None, "")
