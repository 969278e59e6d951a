"""One world: a series that is learnt, watched while nothing happens, and changed many times over."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from benchmarks.detection import calibrate, ours
from benchmarks.detection.peers import peers
from benchmarks.detection.traffic import CHANGES, DAY, Traffic

if TYPE_CHECKING:
    from benchmarks.detection.peers import Peer
    from benchmarks.detection.pool import Pool
    from numpy.typing import NDArray

LEAD: Final = 128
"""Minutes of the usual before a change."""
HORIZON: Final = 500
"""Minutes after which a change counts as never found."""
APART: Final = 517
"""Minutes from one run's beginning to the next's, so that they are at all hours of the day."""

Stretch = list[tuple[int, Any]]
"""Minutes with calls: which, and the rows of the pool."""
Run = tuple[int, Stretch]
"""How many of the minutes come before the change, and all of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """null: minutes, of which the dearer baselines see `thin`. runs: of each change."""

    null: int
    thin: int
    runs: int


@dataclass(slots=True)
class Found:
    """What a detector did. delays: change → minutes of each run, None where it was never found."""

    delays: dict[str, list[int | None]] = field(default_factory=dict)
    alarms: int = 0
    fixed: int = 0
    panes: int = 0


def run(pool: Pool, seed: int, plan: Plan) -> dict[tuple[str, int], Found]:
    """(detector, window) → what it did; the window is 0 where the detector has several of its own."""
    traffic, began = Traffic(pool, seed), time.perf_counter()
    learnt = stretch(traffic, 0, ours.LEARN)
    null = stretch(traffic, ours.LEARN, plan.null)
    first = ours.LEARN + plan.null
    starts = [first + n * APART for n in range(plan.runs)]
    runs = {
        change: [_changing(traffic, at, change, (seed - 1) * plan.runs + n) for n, at in enumerate(starts)]
        for change in CHANGES
    }
    found: dict[tuple[str, int], Found] = {("llmvitals", 0): _ours(pool, learnt, null, runs)}
    progress(f"world {seed}: llmvitals done after {time.perf_counter() - began:.0f} s")
    cut = next(n for n, (at, _) in enumerate(learnt) if at >= ours.LEARN - DAY)
    for peer in peers(pool.vectors, [rows for _, rows in learnt[:cut]]):
        found[peer.name, peer.window] = _peer(
            peer, learnt[cut:], null if peer.name == "centroid" else null[: plan.thin], runs
        )
    progress(f"world {seed}: all done after {time.perf_counter() - began:.0f} s")
    return found


def stretch(traffic: Traffic, start: int, minutes: int, change: str = "null", *, topic: int = 0) -> Stretch:
    """The minutes with calls of so many."""
    drawn = ((at, traffic.minute(at, change, topic)) for at in range(start, start + minutes))
    return [(at, rows) for at, rows in drawn if len(rows)]


def _changing(traffic: Traffic, start: int, change: str, topic: int) -> Run:
    """The usual, and then a change."""
    lead = stretch(traffic, start, LEAD)
    return len(lead), lead + stretch(traffic, start + LEAD, HORIZON, change, topic=topic)


def _ours(pool: Pool, learnt: Stretch, null: Stretch, runs: dict[str, list[Run]]) -> Found:
    drift = ours.Drifts(pool)
    for at, rows in learnt:
        drift.breach(at, rows)
    found = Found(panes=len(null))
    found.alarms = calibrate.alarms(np.array([drift.breach(at, rows) for at, rows in null]))
    memory = drift.remembered()
    for change, several in runs.items():
        found.delays[change] = []
        for one in several:
            drift.recall(memory)
            found.delays[change].append(_first(drift, *one))
    return found


def _first(drift: ours.Drifts, changed: int, minutes: Stretch) -> int | None:
    for place, (at, rows) in enumerate(minutes):
        if drift.breach(at, rows) and place >= changed:
            return place - changed + 1
    return None


def _peer(peer: Peer, held: Stretch, null: Stretch, runs: dict[str, list[Run]]) -> Found:
    """Alarms with the limit that a day shows; delays with that of the null in hindsight, if it is lower."""
    calibrated = calibrate.limit(peer.statistics([rows for _, rows in held]))
    statistics = peer.statistics([rows for _, rows in null])
    hindsight = min(calibrated, calibrate.limit(statistics)) if len(statistics) >= DAY else calibrated
    found = Found(
        alarms=calibrate.alarms(statistics > calibrated),
        fixed=calibrate.alarms(statistics > peer.fixed),
        panes=len(null),
    )
    for change, several in runs.items():
        found.delays[change] = [_passed(peer, one, hindsight) for one in several]
    return found


def _passed(peer: Peer, one: Run, limit: float, step: int = 48) -> int | None:
    """When a statistic is first beyond; looked up piece by piece, as most of it is seldom needed."""
    changed, minutes = one
    for start in range(max(changed, peer.window - 1), len(minutes), step):
        part = [rows for _, rows in minutes[start - peer.window + 1 : start + step]]
        beyond: NDArray[Any] = np.flatnonzero(peer.statistics(part) > limit)
        if len(beyond):
            return start + int(beyond[0]) - changed + 1
    return None


def progress(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)
