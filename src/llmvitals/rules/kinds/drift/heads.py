"""The statistics of a step: five heads, each in units of its own limit.

`topics` and `alike` look at the mean of x, `shape` at that of z, `unusual` at the weighed calls. The first
three compare shares of topics. So they are silent in hours of the week that are not known, such as the first
weekend: these hours get a mean of their own first. A new topic is new at any hour, so `unusual` always looks.
`joint` is `topics` and `unusual` as one vector: a topic that is near to learned ones moves both a little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from llmvitals.rules.kinds.drift import second_limits, sources
from llmvitals.rules.kinds.drift import weekly_profile as weekly
from llmvitals.rules.kinds.drift.calibration import wider
from llmvitals.rules.kinds.drift.calls import distinct, recent
from llmvitals.stats import hotelling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.rules.kinds.drift.calibration import Calibration
    from llmvitals.rules.kinds.drift.reference import Reference
    from llmvitals.rules.kinds.drift.step import Look, Looks, Step
    from llmvitals.stats.axes import Floats

HEADS: Final = 5
TOPICS, SHAPE, ALIKE, UNUSUAL, JOINT = range(HEADS)


class Score(NamedTuple):
    """share: the greatest share of its limit that a span has reached. place: of that span."""

    share: float = 0.0
    place: int = 0


class Read(NamedTuple):
    """The scores of a step. known: whether all but UNUSUAL have looked."""

    scores: list[Score]
    known: bool

    @property
    def greatest(self) -> int:
        """The head with the greatest score."""
        return max(range(len(self.scores)), key=lambda head: self.scores[head].share)

    @property
    def hushed(self) -> float:
        """The greatest score of the heads that are silent in unknown hours."""
        return max(score.share for head, score in enumerate(self.scores) if head != UNUSUAL)


def read(state: dict[str, Any], reference: Reference, step: Step, run: float) -> Read:
    """Remember a step, and compare each head's memories with its limits.

    run: minutes from one false alarm to the next. State: "memories": of each head, see hotelling, arrays
    until `pack`; "seen", "hour" and "profile": see `_known`; "watched": of each head, see second_limits.
    """
    memories: list[hotelling.Memory] = state.setdefault("memories", [])
    memories += [{} for _ in range(JOINT - len(memories))]
    memories[:] = [hotelling.opened(memory) if _is_plain(memory) else memory for memory in memories]
    watched: list[dict[str, Any]] = state.setdefault("watched", [{} for _ in range(HEADS)])
    novelty, head = reference.novelty, reference.unusual
    seen = distinct(novelty.calls, recent(state), step.calls) if novelty and step.calls else None
    weight = sources.weight(step.crowding, reference.crowding)
    looks = step.looks(seen if reference.distinct_calls else None, weight)
    known = _known(state, reference, step.hour, looks)
    found = _compared(state, reference, step.hour, looks) if known else []
    if novelty and head and seen:
        white = head.whitening.white(novelty.mean(seen.y))
        weighed = len(seen.y) * sources.unusual_weight(step.crowding, reference.crowding)
        found.append((UNUSUAL, head.calibration, weighed, white, reference.unusual_calls, 0.0))
    joint = reference.joint
    heads, scores = 3 + (head is not None) + (joint is not None), [Score()] * HEADS
    looked: dict[int, NDArray[np.float64]] = {}
    for place, calibration, calls, white, usual_calls, unsure in found:
        memory, limits = memories[place], second_limits.limits(watched[place], calibration, run * heads)
        if place == SHAPE:  # sums of random features have heavy tails
            limits = limits * wider(reference.overdispersion)
        hotelling.remember(memory, calls, white, calibration.lowered(limits), unsure=unsure)
        looked[place] = hotelling.roots(memory, usual_calls)
        scores[place] = Score(*calibration.read(looked[place], limits))
    if joint is not None and TOPICS in looked and UNUSUAL in looked:
        looked[JOINT] = hotelling.joint(looked[TOPICS], looked[UNUSUAL])
        limits = second_limits.limits(watched[JOINT], joint, run * heads)
        scores[JOINT] = Score(*joint.read(looked[JOINT], limits))
    if all(score.share <= 1 for score in scores):
        for place, roots in looked.items():
            second_limits.add(watched[place], roots, step.minutes, reference.minutes)
    return Read(scores, known)


def pack(state: dict[str, Any]) -> None:
    """Make the memories plain data."""
    memories = state.get("memories", [])
    memories[:] = [memory if _is_plain(memory) else hotelling.packed(memory) for memory in memories]


def _is_plain(memory: dict[str, Any]) -> bool:
    return type(memory.get("sums", b"")) is bytes


def _known(state: dict[str, Any], reference: Reference, hour: int, looks: Looks) -> bool:
    """Whether this hour of the week is known; if it is not, gather it.

    State: "seen": see weekly_profile.known; "profile": of x and of z, see weekly_profile.add_hour; "hour": of
    the week, and the calls and the sums over them of x and of z, while it is gathered.
    """
    if "hour" in state and state["hour"][0] != hour:
        _end_hour(state, reference)
    if weekly.known(state.get("seen", reference.hours), hour):
        return True
    empty = [hour, *([0, bytes(8 * len(mean))] for _, mean in looks)]
    sums: list[tuple[int, bytes]] = state.get("hour", empty)[1:]
    state["hour"] = [hour, *(_added(total, look) for total, look in zip(sums, looks, strict=True))]
    state["memories"][:UNUSUAL] = [{}, {}, {}]
    return False


def _added(total: tuple[int, bytes], look: Look) -> list[Any]:
    (calls, packed), (count, mean) = total, look
    return [calls + count, (np.frombuffer(packed, "<f8") + mean * count).tobytes()]


def _compared(
    state: dict[str, Any], reference: Reference, hour: int, looks: Looks
) -> list[tuple[int, Calibration, float, Floats, int, float]]:
    """Of TOPICS, SHAPE and ALIKE: calibration, calls, whitened mean, calls of the reference, and `unsure`."""
    (calls, x), (count, z) = looks
    topics, shape = reference.topics, reference.shape
    usual_calls, profile = reference.distinct_calls or reference.calls, state.get("profile")
    unsure = [0.0, 0.0]
    if profile is not None and weekly.added(profile[0], hour):
        x, z = x - weekly.apart(profile[0], hour, len(x)), z - weekly.apart(profile[1], hour, len(z))
        unsure = [reference.overdispersion * weekly.unsure(each, hour) for each in profile]
    white, white_z = topics.whitening.white(x, hour), shape.whitening.white(z, hour)
    return [
        (TOPICS, topics.calibration, calls, white, usual_calls, unsure[0]),
        (SHAPE, shape.calibration, count, white_z, reference.calls, unsure[1]),
        (ALIKE, reference.alike, calls, topics.whitening.alike(x), usual_calls, unsure[0]),
    ]


def _end_hour(state: dict[str, Any], reference: Reference) -> None:
    """An hour that was gathered is known from now on."""
    hour, *sums = state.pop("hour")
    profile = state.setdefault("profile", [{}, {}])
    for each, head, (calls, total) in zip(profile, (reference.topics, reference.shape), sums, strict=True):
        mean = np.frombuffer(head.whitening.mean, "<f4").astype(float)
        weekly.add_hour(each, hour, calls, np.frombuffer(total, "<f8") / max(calls, 1) - mean * (calls > 0))
    state["seen"] = weekly.with_hour(state.get("seen", reference.hours), hour)
