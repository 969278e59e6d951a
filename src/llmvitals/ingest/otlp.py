"""Reads OpenTelemetry traces and logs as a Collector's Kafka exporter writes them: protobuf or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from typing import Any, Final

from llmvitals.errors import BadCall, Code, bad
from llmvitals.ingest import (
    coding_agents,
    evaluation_logs,
    genai,
    guardrails_ai,
    langfuse,
    langsmith,
    litellm_spans,
    logfire,
    mlflow,
    nemo,
    openinference,
    otlp_json,
    otlp_protobuf,
    sagemaker,
    vector_search,
    vercel_ai,
)
from llmvitals.ingest.deduplicate import SpanEvent, deduplicated
from llmvitals.ingest.events import CANCELLED
from llmvitals.ingest.identity import Identity
from llmvitals.ingest.span import Above, Dialect, Item, Span, SpanKey
from llmvitals.ingest.values import MOST_REFUSED, Context, Decoded, Format, call, event_id, moment
from llmvitals.lengths import is_metered
from llmvitals.lenient import text
from llmvitals.record.call import Call

DIALECTS: Final[dict[str, Dialect]] = {
    "litellm_spans": litellm_spans.DIALECT,
    "langfuse": langfuse.DIALECT,
    "langsmith": langsmith.DIALECT,
    "mlflow": mlflow.DIALECT,
    "guardrails_ai": guardrails_ai.DIALECT,
    "openinference": openinference.DIALECT,
    "nemo": nemo.DIALECT,
    "sagemaker": sagemaker.DIALECT,
    "logfire": logfire.DIALECT,
    "vercel_ai": vercel_ai.DIALECT,
    "coding_agents": coding_agents.SPANS,
    "genai": genai.DIALECT,
    "vector_search": vector_search.DIALECT,
}
"""Name → dialect of spans. The first that knows a span reads it: the most specific come first."""
LOG_DIALECTS: Final[dict[str, Dialect]] = {
    "evaluation": evaluation_logs.DIALECT,
    "coding_agents": coding_agents.DIALECT,
}
"""The same of log records. A log record is read as a span without a length, whose name is the event's."""

_CALL_ATTRIBUTES: Final = ("gen_ai.", "llm.", "openinference.")
"""A span with such an attribute that no dialect knows may be a call that is not counted."""
_WHO: Final = ("gen_ai.conversation.", "gen_ai.agent.")
"""Such attributes are also on spans around calls, such as a turn of a conversation."""
_INHERITED: Final = ("session", "user", "team", "tenant", "key", "agent", "tags")
"""The dimensions that the spans inside of a span have as well."""
_NO_SCOPE: Final = "otlp"
"""The instrumentor of spans without a scope: they count as one instrumentor, which reports a call once."""
_STRUCTURE: Final = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What reading something that only resembles OTLP raises."""


def knows(names: Container[str]) -> bool:
    """Whether an object with these names is OTLP in JSON."""
    return "resourceSpans" in names or "resourceLogs" in names


def binary(value: bytes) -> bool:
    """Whether these bytes can only be OTLP in protobuf, and not JSON after a line feed."""
    return value[:1] == b"\n" and value.lstrip(b" \t\r\n")[:1] not in (b"{", b"[")


def read(value: bytes, context: Context) -> Decoded:
    """Decode the spans or log records of one export. Raises BadCall; a bad span is refused alone."""
    is_json = value.lstrip(b" \t\r\n")[:1] == b"{"
    try:
        logs, items = (otlp_json if is_json else otlp_protobuf).items(value, _prefixes())
        return _Export(LOG_DIALECTS if logs else DIALECTS, context).read(items)
    except _STRUCTURE:
        raise bad(Code.INVALID, "The record does not have the structure of OTLP") from None


FORMAT: Final = Format(knows, read, several=True)


class _Export:
    """Reads the items of one export."""

    def __init__(self, dialects: dict[str, Dialect], context: Context) -> None:
        self._dialects, self._texts = dialects.values(), context.texts
        self._identity = Identity.of_mapping(context.attributes)
        self._resource: tuple[Any, dict[str, Any]] = (None, {})
        self._events: list[SpanEvent] = []
        self._around: dict[SpanKey, dict[str, Any]] = {}
        self._refused: list[BadCall] = []
        self._unread: Counter[str] = Counter()

    def read(self, items: Iterable[Item]) -> Decoded:
        parents: Above = {}
        number = 0
        for number, (key, parent, make) in enumerate(items, 1):
            parents[key] = parent
            if make is not None:
                try:
                    self._take(make())
                except _STRUCTURE:
                    self._refuse(number - 1, bad(Code.INVALID, "does not have the structure of OTLP"))
        calls, told = [], set()
        inherited = _Inheritance(self._around, parents)
        for event in deduplicated(self._events, parents):
            try:
                event.fields = inherited.of(event.span.key) | event.fields
                calls.append(self._call(event))
                told.add(id(event.span))
            except BadCall as error:
                self._refuse(-1, error)
        if number == len(self._refused) == 1:
            raise self._refused[0]
        filtered = max(number - len(told) - len(self._refused), 0)
        return Decoded(calls, filtered, self._refused, self._unread)

    def _take(self, span: Span) -> None:
        for dialect in self._dialects:
            readings = dialect.read(span)
            if readings is None:
                continue
            who = self._identity.of(span, self._of_resource(span) if readings else {})
            if not readings:
                self._around[span.key] = {name: who[name] for name in _INHERITED if name in who}
            for kind, fields in readings:
                read_texts = dialect.read_texts(span) if self._texts and kind == "llm" else {}
                known = {name: value for name, value in fields.items() if value is not None}
                if kind == "llm" and span.is_closed:
                    known.setdefault("finish_reason", CANCELLED)
                event = SpanEvent(span, kind, who | known | read_texts)
                if kind in ("llm", "embedding") and not is_metered(event.fields):
                    event.fields |= dialect.read_lengths(span)
                self._events.append(event)
            return
        if _looks_like_a_call(span):
            self._unread[span.scope or _NO_SCOPE] += 1

    def _of_resource(self, span: Span) -> dict[str, Any]:
        """The dimensions of a resource; the spans of one come one after another."""
        if span.resource is not self._resource[0]:
            self._resource = span.resource, self._identity.read(span.resource, span.plain)
        return self._resource[1]

    def _refuse(self, place: int, error: BadCall) -> None:
        if len(self._refused) < MOST_REFUSED:
            self._refused.append(error if place < 0 else error.at(place))

    def _call(self, event: SpanEvent) -> Call:
        span, fields = event.span, event.fields
        suffix = fields.pop("id_suffix", None)
        named = suffix or (span.trace_id and span.span_id)
        return call({
            "id": event_id(span.trace_id, span.span_id, suffix) if named else None,
            "ts": moment(span.end // 1_000, "endTimeUnixNano"),
            "trace_id": span.trace_id or None,
            "span_id": span.span_id or None,
            "parent_id": span.parent_id or None,
            "instrumentor": text(span.scope) or _NO_SCOPE,
        } | fields)  # fmt: skip


class _Inheritance:
    """Who made a call by the spans around it, such as an agent's run, that are no events themselves."""

    def __init__(self, own: dict[SpanKey, dict[str, Any]], parents: Above) -> None:
        self._own, self._parents = own, parents
        self._known: dict[SpanKey, dict[str, Any]] = {}

    def of(self, span: SpanKey) -> dict[str, Any]:
        """The dimensions of the spans above a span: of those that several have, the nearest one's."""
        path: dict[SpanKey, None] = {}
        above = self._parents.get(span) if self._own else None
        while above and above not in self._known and above not in path:
            path[above] = None
            above = self._parents.get(above)
        found = self._known.get(above, {}) if above else {}
        for passed in reversed(path):
            found = self._known[passed] = found | self._own.get(passed, {})
        return found


def _looks_like_a_call(span: Span) -> bool:
    told = [
        name for name in span.attributes if name.startswith(_CALL_ATTRIBUTES) and not name.startswith(_WHO)
    ]
    return bool(told) and not litellm_spans.is_handed_on(span, told)


def _prefixes() -> tuple[str, ...]:
    return tuple({prefix for dialect in DIALECTS.values() for prefix in dialect.prefixes})
