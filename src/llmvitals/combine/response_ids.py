"""What else tells calls apart than their ids: the provider's response id, and the span around a call.

Several instrumentors may report one call, with one response id, or as spans within each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from llmvitals.record.call import MODEL_OPERATIONS, Call, ended
from llmvitals.window import SECOND

SLACK: Final = SECOND
"""µs by which two reports of one call may differ: times are rounded, and a latency may be unknown."""
MOST: Final = 8
"""Reports of one response id that are remembered of a pane, the newest ones.

A mock server may give all of its responses the same id.
"""


_KINDS: Final = {name: name for name in (*MODEL_OPERATIONS, "retrieval", "tool")} | {"completion": "chat"}
"""Operation → kind. Spans of one kind right within each other tell of one thing; of tools with one name."""


class SpanLink(NamedTuple):
    """What tells that a span right around another one of its kind is of the same call.

    wanted: the names that a span right inside of this one leaves, and the one right around it. left: the name
    that this one leaves in place of each, for that span to find; "" for none. start: of the call, µs.
    """

    wanted: tuple[str, ...]
    left: tuple[str, ...]
    start: int

    def told_by(self, holds: Callable[[str], bool]) -> tuple[bool, list[str]]:
        """Whether a call that came before tells of this one, and the names to remember this one by.

        holds: whether a name is remembered. What has come already needs no name any more.
        """
        found = [*map(holds, self.wanted)]
        return any(found), [name for name, came in zip(self.left, found, strict=True) if name and not came]


class ResponseReport(NamedTuple):
    """A report of a response by an instrumentor.

    id: the response id. start, end: of the call, µs. by: a hash of the instrumentor's name, 0 if unknown.
    """

    id: str
    start: int
    end: int
    by: int

    def same_call(self, other: ResponseReport) -> bool:
        """Whether two reports with one response id are of the same call, by two instrumentors.

        An instrumentor reports a call once. Its second report of a response id is another call, such as one
        that a cache answered.
        """
        return (
            (self.by != other.by or not self.by)
            and self.start <= other.end + SLACK
            and other.start <= self.end + SLACK
        )


def response_reports(calls: Sequence[Call]) -> Sequence[ResponseReport | None]:
    """The report of each call; None without a response id of its own.

    A hit in a gateway's cache repeats the id of the first response but is another call. An event that no
    model answered (an evaluation, a guardrail) carries the response id of the call that it is about.
    """
    if not any(call.response_id for call in calls):
        return [None] * len(calls)
    return [_report(call) if call.response_id else None for call in calls]


def _report(call: Call) -> ResponseReport | None:
    if call.cache_hit or call.operation not in MODEL_OPERATIONS:
        return None
    name = call.response_id or ""
    return ResponseReport(name, _begun(call), ended(call), _instrumentor_hash(call.instrumentor))


def span_links(calls: Sequence[Call]) -> Sequence[SpanLink | None]:
    """The link of each call that an instrumentor tells of; None for hits in a gateway's cache."""
    return [_link(call) if call.span_id and call.instrumentor else None for call in calls]


def _link(call: Call) -> SpanLink | None:
    kind = _KINDS.get(call.operation)
    if kind is None or call.cache_hit:
        return None
    if call.operation == "tool":
        kind += ",".join(tool.name for tool in call.tools or ())
    metered = call.input_tokens is not None or call.output_tokens is not None
    # In place of a call inside of it, one without tokens would lose them.
    stands = metered or call.status == "error" or kind not in MODEL_OPERATIONS
    own, start = f"{kind}/{call.trace_id}/{call.span_id}", _begun(call)
    around = f">{own}" if stands else ""
    if not call.parent_id:
        return SpanLink((f"<{own}",), (around,), start)
    parent = f"{kind}/{call.trace_id}/{call.parent_id}"
    return SpanLink((f"<{own}", f">{parent}"), (around, f"<{parent}"), start)


def _begun(call: Call) -> int:
    """When a call began, µs; its end where its latency is unknown."""
    return ended(call) - round((call.latency_ms or 0) * 1_000)


@lru_cache(maxsize=1_024)
def _instrumentor_hash(instrumentor: str | None) -> int:
    if not instrumentor:
        return 0
    digest = blake2b(instrumentor.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True) or 1
