"""Learns what makes a call unusual, and the usual mean of the weighed calls: see novelty.

It learns in the parts of `training.Learner`. Each part looks at other calls than those that it is compared
with: what is near to centroids that it was made of says nothing about later calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.rules.kinds.drift import calibration, novelty, sources
from llmvitals.rules.kinds.drift.calls import RECENT, Distinct, distinct, recent
from llmvitals.rules.kinds.drift.novelty import Novelty
from llmvitals.rules.kinds.drift.reference import Head
from llmvitals.stats import axes, centroids
from llmvitals.stats.hotelling import radius
from llmvitals.stats.whitening import Whitening, whitening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.rules.kinds.drift.step import Step

AXES: Final = 128
"""Axes of the scatter of weighed calls. Along a small axis lies no less of a new topic than along a great
one, so all that are told apart from the mean of the others help to find it."""
SCATTERED: Final = 16
"""Single calls of a step that are added to the scatter."""


def distinct_calls(state: dict[str, Any], step: Step) -> Distinct | None:
    """The distinct calls of a step; None without whole vectors, or if too few were distinct so far."""
    found = state.setdefault("unusual", {})
    if found is None or not step.calls:
        return None
    whitening = _whitening(found["whitening"]) if "whitening" in found else None
    return distinct(whitening, recent(state), step.calls)


def learn(state: dict[str, Any], part: int, step: Step, seen: Distinct | None) -> None:
    """Learn the calls of a step; seen: those that are distinct.

    State: "recent": see calls; "unusual": what is gathered, None after a part with too few distinct calls:
    "sampled": distinct calls of the first part; "axes"; then "whitening"; "centroids"; "bins"; then
    "novelty", and "head" with "calls", "mean", "whitening", "radii", "cap", and that of calibration.record.
    """
    found = state["unusual"]
    if seen is not None:
        if part == 0:
            novelty.gather_axes(found, seen.x)
        elif part == 1:
            centroids.gather(found, seen.y, min(found["sampled"], novelty.CENTROIDS))
        elif part == 2:
            usual = Novelty(_whitening(found["whitening"]), found["centroids"], 0.0, 1.0)
            found["bins"] = novelty.count(found.get("bins", []), usual.of(seen.y))
        else:
            _learn_head(found, part, seen, sources.unusual_weight(step.crowding, sources.usual(state)))
    state["recent"] = [*recent(state), *step.calls][-RECENT:]


def close(state: dict[str, Any], part: int) -> None:
    """End a part."""
    found = state["unusual"]
    if found is not None and not _CLOSE[part](found):
        state["unusual"] = None


def heads(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The calibrations of distinct calls whose block of maxima has begun."""
    head = (state["unusual"] or {}).get("head", {})
    return [each for each in (head, state.get("joint", {})) if "block" in each]


def learned(
    state: dict[str, Any], minutes: int, step: float, borrow: float
) -> tuple[Novelty | None, Head | None, int]:
    """What makes a call unusual, the head, and the calls of its mean; others: see calibration.fitted."""
    found = state["unusual"]
    if found is None:
        return None, None, 0
    head = found["head"]
    made = Head(_whitening(head["whitening"]), calibration.fitted(head, minutes, step, borrow=borrow))
    return _novelty(found["novelty"]), made, head["calls"]


def add_mean(
    head: dict[str, Any],
    calls: float,
    mean: NDArray[np.float64],
    kept: int = axes.KEPT,
    *,
    weight: float = 1,
) -> None:
    """Add to a mean, and to the scatter of √n·mean about it (as it was before: Welford's update).

    State, {} at first: "calls", "mean"; and see stats.axes. weight: of the row that is added to the scatter.
    """
    before = head.get("calls", 0)
    old = np.frombuffer(head["mean"], "<f8") if before else mean
    if before:
        axes.gather(head, (mean - old) * np.sqrt(weight * calls * before / (calls + before)), kept)
    head["calls"] = before + calls
    head["mean"] = (old + (mean - old) * calls / (calls + before)).astype("<f8").tobytes()


def add_calls(head: dict[str, Any], calls: NDArray[np.floating], kept: int) -> None:
    """Add distinct calls (n × d) to a mean and to its scatter. Half of the scatter is that of single calls.

    There are many more calls than minutes, so their scatter is known better, above all along small axes. The
    scatter of √n·mean shows what comes and goes. State: see add_mean.
    """
    if not len(calls):
        return
    single = calls[:SCATTERED]
    if "mean" in head:
        for row in (single - np.frombuffer(head["mean"], "<f8")) / np.sqrt(2):
            axes.gather(head, row, kept)
    mean = calls.sum(axis=0, dtype=np.float64) / len(calls)
    add_mean(head, len(calls), mean, kept, weight=len(single) / 2)


def _learn_head(found: dict[str, Any], part: int, seen: Distinct, weight: float) -> None:
    """weight: of a call, once the usual mean is learned: until then it is learned how crowded steps are."""
    head, usual = found.setdefault("head", {}), _novelty(found["novelty"])
    if part == 3:
        add_calls(head, usual.weighed(seen.y), AXES)
        return
    mean = usual.mean(seen.y)
    calls, white = weight * len(seen.y), _whitening(head["whitening"]).white(mean)
    if part == 4:
        head.setdefault("radii", []).extend([radius(calls, white)] if calls else [])
    else:
        calibration.record(head, calls, white, head["calls"])


def _close_scatter(found: dict[str, Any]) -> bool:
    made = novelty.call_whitening(found)
    if made is not None:
        sampled = found["count"]
        found.clear()
        found.update(whitening=msgspec.msgpack.encode(made), sampled=sampled)
    return made is not None


def _close_centroids(found: dict[str, Any]) -> bool:
    width = len(_whitening(found["whitening"]).mean) // 4
    rows = np.frombuffer(found.get("centroids", b""), "<f2").reshape(-1, width)
    found["centroids"] = centroids.packed(rows.astype(np.float32))
    return len(rows) >= novelty.FEWEST


def _close_novelty(found: dict[str, Any]) -> bool:
    bins = found.pop("bins", [])
    if not any(bins):
        return False
    made = Novelty(_whitening(found["whitening"]), found.pop("centroids"), *novelty.quantiles(bins))
    found["novelty"] = msgspec.msgpack.encode(made)
    return True


def _close_mean(found: dict[str, Any]) -> bool:
    head = found.get("head", {})
    if not head.get("scatter"):
        return False
    made = whitening(np.frombuffer(head["mean"], "<f8"), axes.found(head, AXES))
    found["head"] = {"whitening": msgspec.msgpack.encode(made), "calls": head["calls"]}
    return True


def _close_cap(found: dict[str, Any]) -> bool:
    """Without distinct calls nothing may weigh anything."""
    radii = found["head"].pop("radii", [])
    found["head"]["cap"] = calibration.capped(radii) if radii else 0.0
    return True


_CLOSE = (_close_scatter, _close_centroids, _close_novelty, _close_mean, _close_cap, lambda _: True)


def _whitening(data: bytes) -> Whitening:
    return msgspec.msgpack.decode(data, type=Whitening)


def _novelty(data: bytes) -> Novelty:
    return msgspec.msgpack.decode(data, type=Novelty)
