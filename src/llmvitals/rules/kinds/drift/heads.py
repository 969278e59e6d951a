"""The statistics of a step: four heads, each in units of its own limit.

`topics` and `alike` look at the mean of x, `shape` at that of z, `unusual` at the weighed calls. The first
three compare shares of topics. So they are silent in hours of the week that are not known, such as the first
weekend: these hours get a mean of their own first. A new topic is new at any hour, so `unusual` always looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from llmvitals.rules.kinds.drift import weekly_profile as weekly
from llmvitals.rules.kinds.drift.calls import recent
from llmvitals.stats import hotelling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.rules.kinds.drift.calibration import Calibration
    from llmvitals.rules.kinds.drift.reference import Reference
    from llmvitals.rules.kinds.drift.training import Step
    from llmvitals.stats.axes import Floats

TOPICS, SHAPE, ALIKE, UNUSUAL = range(4)


class Score(NamedTuple):
    """share: the greatest share of its limit that a span has reached. place: of that span."""

    share: float = 0.0
    place: int = 0


class Read(NamedTuple):
    """The scores of a step. known: whether TOPICS, SHAPE and ALIKE have looked."""

    scores: list[Score]
    known: bool

    @property
    def greatest(self) -> int:
        """The head with the greatest score."""
        return max(range(len(self.scores)), key=lambda head: self.scores[head].share)


def read(state: dict[str, Any], reference: Reference, step: Step, run: float) -> Read:
    """Remember a step, and compare each head's memories with its limits.

    run: minutes from one false alarm to the next. State: "memories": of each head, see hotelling; "seen",
    "hour" and "profile": see `_means`.
    """
    memories: list[hotelling.Memory] = state.setdefault("memories", [])
    memories += [{} for _ in range(4 - len(memories))]
    looks: list[tuple[Calibration, int, Floats, int, float] | None] = [None, None, None]
    means = _means(state, reference, step)
    if means is None:
        memories[:UNUSUAL] = [{}, {}, {}]
    else:
        x, z, unsure = means
        topics, shape = reference.topics, reference.shape
        looks = [
            (calibration, step.moments.count, white, reference.calls, unsure)
            for calibration, white in (
                (topics.calibration, topics.whitening.white(x, step.hour)),
                (shape.calibration, shape.whitening.white(z, step.hour)),
                (reference.alike, topics.whitening.alike(x)),
            )
        ]
    if reference.unusual is not None and reference.novelty is not None:
        calls, mean = reference.novelty.mean(recent(state), step.calls)
        white = reference.unusual.whitening.white(mean)
        looks.append((reference.unusual.calibration, calls, white, reference.unusual_calls, 0.0))
    scores = [
        _score(memory, *look, run * len(looks)) if look else Score()
        for memory, look in zip(memories, looks, strict=False)
    ]
    return Read([*scores, *[Score()] * (4 - len(scores))], means is not None)


def _score(  # noqa: PLR0913 - the parts of a look
    memory: hotelling.Memory,
    calibration: Calibration,
    calls: int,
    white: Floats,
    reference_calls: int,
    unsure: float,
    run: float,
) -> Score:
    limits = calibration.limits(run)
    hotelling.remember(memory, calls, white, calibration.lowered(limits), unsure=unsure)
    return Score(*calibration.read(hotelling.roots(memory, reference_calls), limits))


def _means(
    state: dict[str, Any], reference: Reference, step: Step
) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    """The means of x and z less what is usual at this hour, and what to add to 1/N; None if it is not known.

    State: "seen": see weekly_profile.known; "profile": of x and of z, see weekly_profile.add_hour; "hour": of
    the week, calls, and the sums over them of the means, while it is gathered.
    """
    seen, hour, (x, z) = state.get("seen", reference.hours), step.hour, step.means
    if "hour" in state and state["hour"][0] != hour:
        _end_hour(state, reference)
        seen = state["seen"]
        state["memories"][:UNUSUAL] = [{}, {}, {}]
    if not weekly.known(seen, hour):
        _, calls, *sums = state.get("hour", (hour, 0, bytes(8 * len(x)), bytes(8 * len(z))))
        added = (
            np.frombuffer(total, "<f8") + mean * step.moments.count
            for total, mean in zip(sums, (x, z), strict=True)
        )
        state["hour"] = [hour, calls + step.moments.count, *(total.tobytes() for total in added)]
        return None
    profile = state.get("profile")
    if profile is None or not weekly.added(profile[0], hour):
        return x, z, 0.0
    usual, usual_z = (weekly.apart(each, hour, len(mean)) for each, mean in zip(profile, (x, z), strict=True))
    return x - usual, z - usual_z, reference.overdispersion / weekly.calls(profile[0], hour)


def _end_hour(state: dict[str, Any], reference: Reference) -> None:
    """An hour that was gathered is known from now on."""
    hour, calls, *sums = state.pop("hour")
    profile = state.setdefault("profile", [{}, {}])
    for each, head, total in zip(profile, (reference.topics, reference.shape), sums, strict=True):
        mean = np.frombuffer(head.whitening.mean, "<f4").astype(float)
        weekly.add_hour(each, hour, calls, np.frombuffer(total, "<f8") / calls - mean)
    state["seen"] = weekly.with_hour(state.get("seen", reference.hours), hour)
