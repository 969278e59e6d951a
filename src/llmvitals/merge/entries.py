"""A frame's entries → where each of them belongs, and which are of no use."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from llmvitals.merge.bucket import of_arm
from llmvitals.merge.plan import Plan, series_key
from llmvitals.merge.sources import Sources
from llmvitals.record.frame import Frame


class Put(NamedTuple):
    """An entry as `Bucket.put` takes it. eager: rules look at it while its pane is open."""

    pane: int
    key: bytes
    slot: str
    content: tuple[int, bytes]
    eager: bool


def by_bucket(frame: Frame, plan: Plan, sources: Sources, counters: Counter[str]) -> dict[int, list[Put]]:
    """Bucket → what a frame has for it. sources: as they were before the frame, whose floor comes after it.

    Counts those that are unknown (of no view of ours) or late (of panes that their source has sealed).
    """
    found: dict[int, list[Put]] = {}
    sealed, joined = sources.of(frame.source)
    for entry in frame.entries:
        home, arm = plan.home(entry.view, entry.series)
        if not plan.wants(entry.view, home):
            counters["unknown"] += 1
            continue
        pane, slot = entry.pane, frame.source
        if pane < joined:
            pane, slot = joined, f"{slot}@{pane}"
        # Below the source's own floor all is said, even while other sources hold the pane open.
        if entry.pane < sealed or pane < sources.low:
            counters["late"] += 1
            continue
        key = series_key(entry.view, home)
        slot = of_arm(slot, arm)
        put = Put(pane, key, slot, (frame.version, entry.vitals), plan.eager(entry.view))
        found.setdefault(plan.bucket(key), []).append(put)
    return found
