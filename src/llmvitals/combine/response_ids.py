"""The second identity of a call: the provider's response id, which several instrumentors may report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from llmvitals.record.call import MODEL_OPERATIONS, Call, ended
from llmvitals.window import SECOND

SLACK: Final = SECOND
"""µs by which two reports of one call may differ: times are rounded, and a latency may be unknown."""
MOST: Final = 8
"""Reports of one response id that are remembered of a pane, the newest ones: a mock server may give all of
its
responses the same id."""


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
    end = ended(call)
    return ResponseReport(
        call.response_id or "",
        end - round((call.latency_ms or 0) * 1_000),
        end,
        _instrumentor_hash(call.instrumentor),
    )


@lru_cache(maxsize=1_024)
def _instrumentor_hash(instrumentor: str | None) -> int:
    if not instrumentor:
        return 0
    digest = blake2b(instrumentor.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True) or 1
