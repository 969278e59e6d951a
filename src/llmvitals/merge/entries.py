"""Finds the bucket, pane and slot of each entry of a frame, and drops entries that don't count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain, repeat
from typing import Final, NamedTuple

from llmvitals.merge.bucket import slot_of
from llmvitals.merge.plan import MergePlan, series_key
from llmvitals.merge.sources import Sources
from llmvitals.record.frame import Content, Entry, Frame
from llmvitals.record.view import OTHER

KNOWN: Final = 20_000
"""Series whose places are remembered."""


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


class SeriesPlace(NamedTuple):
    """What is the same for every entry of a series.

    home, arm: see MergePlan.home. own, key: the keys of the series and of its home. wanted, stored, eager:
    see MergePlan; eager only if it is not OTHER. bucket: of the home.
    """

    home: tuple[str, ...]
    arm: str
    own: bytes
    key: bytes
    wanted: bool
    stored: bool
    eager: bool
    bucket: int


class SeriesPlaces(dict[tuple[str, tuple[str, ...]], SeriesPlace]):
    """View and series → its place. It forgets all of them when there are more than KNOWN."""

    def __init__(self, plan: MergePlan) -> None:
        super().__init__()
        self._plan, self.inputs = plan, plan.inputs

    def __missing__(self, key: tuple[str, tuple[str, ...]]) -> SeriesPlace:
        if len(self) >= KNOWN:
            self.clear()
        (view, series), plan = key, self._plan
        home, arm = plan.home(view, series)
        own = series_key(view, series)
        wanted = plan.wants(view, home)
        of_home = own if home is series else series_key(view, home)
        place = self[key] = SeriesPlace(
            home,
            arm,
            own,
            of_home,
            wanted,
            plan.stored(view, home),
            wanted and plan.eager(view) and OTHER not in home,
            plan.bucket(of_home),
        )
        return place


Admits = Callable[[Entry, bytes, int], bool]
"""Whether an entry, of this key and in this pane, is counted under its own name: see Roster."""


def by_bucket(
    frame: Frame, places: SeriesPlaces, sources: Sources, counters: Counter[str], *, admits: Admits
) -> dict[int, list[PlacedEntry]]:
    """Group the entries of a frame by bucket.

    sources: before this frame's floor is applied. An entry of a pane that its source has not sealed, but that
    closed before the source was known, is counted in the oldest open pane. An entry that `admits` rejects is
    counted in OTHER, in a slot of its series, so that a repeated frame counts once. OTHER of a view that is
    not stored is dropped, because nothing reads it. counters: "unknown" (of no view of the plan) and "late"
    (of panes that their source has sealed).
    """
    placed: dict[int, list[PlacedEntry]] = {}
    low, oldest = sources.low, sources.oldest(frame.source, places.inputs)
    late = ((entry, entry.quarter) for entry in frame.late)
    for entry, quarter in chain(zip(frame.entries, repeat(None)), late):
        place = places[entry.view, entry.series]
        if not place.wanted:
            counters["unknown"] += 1
            continue
        # A source sends nothing new below its own floor, even if other sources keep the pane open.
        if entry.pane < oldest:
            counters["late"] += 1
            continue
        pane, cut = max(entry.pane, low), b""
        if not admits(entry, place.own, pane):
            cut = place.own
            place = places[entry.view, (OTHER,) * len(entry.series)]
        if not place.stored and OTHER in place.home:
            continue
        moved, slot = entry.pane < low, frame.source
        if moved or cut or place.arm or quarter is not None:
            slot = slot_of(
                frame.source, place.arm, closed=entry.pane if moved else None, quarter=quarter, cut=cut
            )
        content = frame.version, entry.vitals
        placed_entry = PlacedEntry(pane, place.key, slot, content, place.eager, moved)
        placed.setdefault(place.bucket, []).append(placed_entry)
    return placed
