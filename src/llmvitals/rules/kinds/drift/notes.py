"""Says what has changed, with the calls that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmvitals.rules.kinds.drift import witness
from llmvitals.rules.kinds.drift.calls import SampledCall, recent, vectors
from llmvitals.rules.kinds.drift.heads import ALIKE, JOINT, SHAPE, TOPICS, UNUSUAL
from llmvitals.stats import hotelling
from llmvitals.stats.centroids import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.kinds.drift.heads import Read
    from llmvitals.rules.kinds.drift.reference import Reference

MEANT: Final = 0.5
"""The share of its limit at which the topics are named although another head fires."""


def changed(state: dict[str, Any], reference: Reference, found: Read) -> str:
    """The note of a breach: what is new, and what is missing."""
    topics, shape = (found.scores[head].share for head in (TOPICS, SHAPE))
    parts, calls = [_what(state, found)], recent(state)
    if calls and _by_unusual(found):
        parts.append(_like("new", _unusual(state, reference, found, calls)))
    elif calls:
        parts.append(_like("new", _named(state, reference, found, calls, sign=1)))
    if reference.kept and max(topics, shape) > MEANT:
        kept = [SampledCall(trace, x, 0) for trace, x in reference.kept]
        parts.append(_like("missing", _named(state, reference, found, kept, sign=-1)))
    return "; ".join(filter(None, parts))


def _what(state: dict[str, Any], found: Read) -> str:
    """What the heads say together."""
    topics, shape, (alike, place) = found.scores[TOPICS].share, found.scores[SHAPE].share, found.scores[ALIKE]
    if _by_unusual(found):
        return "other topics: calls unlike those that were learned"
    if found.greatest == JOINT or topics > MEANT:
        return "other topics"
    if alike > max(topics, shape):
        more = hotelling.mean(state["memories"][ALIKE], place)[0] > 0
        return f"calls are {'more' if more else 'less'} alike than before"
    return "repeated texts, or the same topics in other shares"


def _by_unusual(found: Read) -> bool:
    """Whether unusual calls show the change better than the mean of all."""
    scores = found.scores
    joint = found.greatest == JOINT and scores[UNUSUAL].share > scores[TOPICS].share
    return joint or found.greatest == UNUSUAL


def _named(
    state: dict[str, Any], reference: Reference, found: Read, calls: Sequence[SampledCall], *, sign: int
) -> list[str]:
    """The calls nearest to what is new (sign 1) or to what is missing (-1), by `topics` or `shape`."""
    by_shape = found.greatest != JOINT and found.scores[SHAPE].share > found.scores[TOPICS].share
    which, head = (SHAPE, reference.shape) if by_shape else (TOPICS, reference.topics)
    now = hotelling.mean(state["memories"][which], found.scores[which].place)
    images = witness.images(calls, reference.space if by_shape else "")
    return witness.first(calls, witness.scores(images, head.whitening, now), sign)


def _unusual(
    state: dict[str, Any], reference: Reference, found: Read, calls: Sequence[SampledCall]
) -> list[str]:
    """The unusual calls that are nearest to what is new."""
    if reference.novelty is None or reference.unusual is None:
        return []
    now = hotelling.mean(state["memories"][UNUSUAL], found.scores[UNUSUAL].place)
    images = reference.novelty.weighed(units(reference.novelty.calls.white(vectors(calls)))).astype(float)
    return witness.first(calls, witness.scores(images, reference.unusual.whitening, now), 1)


def _like(word: str, names: Sequence[str]) -> str:
    return f"{word}: calls like {', '.join(names)}" if names else ""
