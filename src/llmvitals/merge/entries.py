"""Finds the bucket, pane and slot of each entry of a frame, and drops entries that don't count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain, repeat
from typing import NamedTuple

from llmvitals.merge.bucket import slot_of
from llmvitals.merge.plan import MergePlan, series_key
from llmvitals.merge.sources import Sources
from llmvitals.record.frame import Content, Entry, Frame
from llmvitals.record.view import OTHER


class PlacedEntry(NamedTuple):
    """The arguments of `Bucket.put` for an entry.

    eager: whether rules read it while its pane is open. moved: whether it is counted in a later pane than its
    own.
    """

    pane: int
    key: bytes
    slot: str
    content: tuple[int, Content]
    eager: bool
    moved: bool


Admits = Callable[[Entry, bytes, int], bool]
"""Whether an entry, of this key and in this pane, is counted under its own name: see Roster."""


def by_bucket(
    frame: Frame, plan: MergePlan, sources: Sources, counters: Counter[str], *, admits: Admits
) -> dict[int, list[PlacedEntry]]:
    """Group the entries of a frame by bucket.

    sources: before this frame's floor is applied. An entry of a pane that its source has not sealed, but that
    closed before the source was known, is counted in the oldest open pane. An entry that `admits` rejects is
    counted in OTHER, in a slot of its series, so that a repeated frame counts once. OTHER of a view that is
    not stored is dropped, because nothing reads it. counters: "unknown" (of no view of the plan) and "late"
    (of panes that their source has sealed).
    """
    placed: dict[int, list[PlacedEntry]] = {}
    low, oldest = sources.low, sources.oldest(frame.source, plan.inputs)
    late = ((entry, entry.quarter) for entry in frame.late)
    for entry, quarter in chain(zip(frame.entries, repeat(None)), late):
        home, arm = plan.home(entry.view, entry.series)
        if not plan.wants(entry.view, home):
            counters["unknown"] += 1
            continue
        # A source sends nothing new below its own floor, even if other sources keep the pane open.
        if entry.pane < oldest:
            counters["late"] += 1
            continue
        pane, own, cut = max(entry.pane, low), series_key(entry.view, entry.series), b""
        if not admits(entry, own, pane):
            cut = own
            home, arm = plan.home(entry.view, (OTHER,) * len(entry.series))
        if OTHER in home and not plan.stored(entry.view, home):
            continue
        moved = entry.pane < low
        key = own if home is entry.series else series_key(entry.view, home)
        slot = slot_of(frame.source, arm, closed=entry.pane if moved else None, quarter=quarter, cut=cut)
        eager = plan.eager(entry.view) and OTHER not in home
        placed_entry = PlacedEntry(pane, key, slot, (frame.version, entry.vitals), eager, moved)
        placed.setdefault(plan.bucket(key), []).append(placed_entry)
    return placed
