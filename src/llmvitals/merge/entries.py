"""A frame's entries → where each of them belongs, and which are of no use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from llmvitals.merge.bucket import slot_of
from llmvitals.merge.plan import MergePlan, series_key
from llmvitals.merge.sources import Sources
from llmvitals.record.frame import Frame
from llmvitals.record.view import OTHER


class Put(NamedTuple):
    """An entry as `Bucket.put` takes it.

    eager: rules look at it while its pane is open. moved: it counts in a later pane than its own.
    """

    pane: int
    key: bytes
    slot: str
    content: tuple[int, bytes]
    eager: bool
    moved: bool


Admits = Callable[[str, tuple[str, ...], int], bool]
"""Whether (view, series, pane) is counted by its own name: see Roster."""


def by_bucket(
    frame: Frame, plan: MergePlan, sources: Sources, counters: Counter[str], *, admits: Admits
) -> dict[int, list[Put]]:
    """Bucket → what a frame has for it.

    sources: as they were before the frame, whose floor comes after it. An entry of a pane that its source has
    not sealed, but the others have closed before they knew of that source, counts in the oldest open pane.
    What `admits` does not admit is counted in OTHER, each name in a slot of its own, so that what is sent
    again counts once. Nobody reads the OTHER of a view that is not stored: it is left out.
    Counts those that are unknown (of no view of ours) or late (of panes that their source has sealed).
    """
    found: dict[int, list[Put]] = {}
    low, oldest = sources.low, sources.oldest(frame.source, plan.inputs)
    for entry in frame.entries:
        home, arm = plan.home(entry.view, entry.series)
        if not plan.wants(entry.view, home):
            counters["unknown"] += 1
            continue
        # Below the source's own floor all is said, even while other sources hold the pane open.
        if entry.pane < oldest:
            counters["late"] += 1
            continue
        pane, cut = max(entry.pane, low), b""
        if not admits(entry.view, entry.series, pane):
            cut = series_key(entry.view, entry.series)
            home, arm = plan.home(entry.view, (OTHER,) * len(entry.series))
        if OTHER in home and not plan.stored(entry.view, home):
            continue
        moved = entry.pane < low
        key = series_key(entry.view, home)
        slot = slot_of(frame.source, arm, closed=entry.pane if moved else None, cut=cut)
        eager = plan.eager(entry.view) and OTHER not in home
        put = Put(pane, key, slot, (frame.version, entry.vitals), eager, moved)
        found.setdefault(plan.bucket(key), []).append(put)
    return found
