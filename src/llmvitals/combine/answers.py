"""The second identity of a call: the provider's id of the answer, which several instrumentors may report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from llmvitals.record.call import MODEL_OPERATIONS, Call, ended
from llmvitals.window import SECOND

SLACK: Final = SECOND
"""How far apart (µs) two reports of one call may lie: times are rounded, and a latency may be unknown."""
MOST: Final = 8
"""So many counted calls of one response id are remembered of a pane, the last ones: a mock server may give
one id to all of its answers."""


class Answer(NamedTuple):
    """What identifies an answer.

    id: the response id. start, end: when the call began and ended, µs. by: a number for the instrumentor that
    reported it, 0 where it is not said.
    """

    id: str
    start: int
    end: int
    by: int

    def twin(self, other: Answer) -> bool:
        """Whether two calls of one response id are one call, reported by two instrumentors.

        One instrumentor reports a call once: its second call of a response id is another one, such as an
        answer out of a cache.
        """
        return (
            (self.by != other.by or not self.by)
            and self.start <= other.end + SLACK
            and other.start <= self.end + SLACK
        )


def answers(calls: Sequence[Call]) -> Sequence[Answer | None]:
    """The answer of each call; None where it has no response id, or may repeat another call's.

    A hit in a gateway's cache repeats the id of the first answer and is a call of its own. What no model
    answered (an evaluation, a guardrail) names the call that it is about.
    """
    if not any(call.response_id for call in calls):
        return [None] * len(calls)
    return [_answer(call) if call.response_id else None for call in calls]


def _answer(call: Call) -> Answer | None:
    if call.cache_hit or call.operation not in MODEL_OPERATIONS:
        return None
    end = ended(call)
    return Answer(
        call.response_id or "", end - round((call.latency_ms or 0) * 1_000), end, _number(call.instrumentor)
    )


@lru_cache(maxsize=1_024)
def _number(instrumentor: str | None) -> int:
    if not instrumentor:
        return 0
    digest = blake2b(instrumentor.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True) or 1
