"""Packs entries into frames, one or more for each shard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmvitals.record.frame import Entry, Frame, LateEntry, shard_of
from llmvitals.record.log import Message, Topic

LIMIT = 700_000
"""Bytes of vitals in a frame, so that the whole record stays below Kafka's default limit of 1 MB."""
_AROUND = 64


@dataclass(frozen=True, slots=True)
class FrameBuilder:
    """Makes the frames of one source partition; see record.frame.

    split: names of split views (see View): all arms of a home go to the same shard.
    """

    source: str
    sources: dict[str, int]
    shards: int
    pane_us: int
    split: frozenset[str] = frozenset()

    def frames(self, entries: Iterable[Entry], *, floor: int, version: int) -> list[Frame]:
        """Make frames of entries that all have this version, in the order of the entries."""
        full: list[Frame] = []
        open_entries: dict[int, list[Entry]] = {}
        sizes: dict[int, int] = {}
        for entry in entries:
            shard = self._shard(entry) if self.shards > 1 else 0
            content = len(entry.vitals) if isinstance(entry.vitals, bytes) else 0
            size = content + sum(map(len, entry.series)) * 4 + _AROUND
            if sizes.get(shard, 0) + size > LIMIT and shard in open_entries:
                full.append(self.frame(shard, open_entries.pop(shard), floor=floor, version=version))
                sizes[shard] = 0
            open_entries.setdefault(shard, []).append(entry)
            sizes[shard] = sizes.get(shard, 0) + size
        return full + [
            self.frame(shard, entries_of_shard, floor=floor, version=version)
            for shard, entries_of_shard in sorted(open_entries.items())
        ]

    def _shard(self, entry: Entry) -> int:
        home = entry.series[:-1] if entry.view in self.split else entry.series
        return shard_of(entry.view, home, self.shards)

    def frame(self, shard: int, entries: Iterable[Entry] = (), *, floor: int, version: int) -> Frame:
        """Make one frame; without entries it is a heartbeat."""
        on_time: list[Entry] = []
        late: list[LateEntry] = []
        for entry in entries:
            if isinstance(entry, LateEntry):
                late.append(entry)
            else:
                on_time.append(entry)
        return Frame(
            source=self.source,
            sources=self.sources,
            shard=shard,
            shards=self.shards,
            floor=floor,
            version=version,
            pane_us=self.pane_us,
            entries=tuple(on_time),
            late=tuple(late),
        )


def message(frame: Frame) -> Message:
    """Make the message of a frame."""
    return Message(Topic.PARTIALS, frame.source.encode(), frame.encode(), partition=frame.shard)
