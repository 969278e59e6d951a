"""Entries → frames: one or more for each shard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmvitals.record.frame import Entry, Frame, shard_of
from llmvitals.record.log import Message, Topic

LIMIT = 700_000
"""Bytes of vitals in a frame: with all around them they stay below Kafka's 1 MB."""
_AROUND = 64


@dataclass(frozen=True, slots=True)
class Sender:
    """What all frames of a source partition have in common; see record.frame.

    split: the names of the views whose arms have one home (see View), and so one shard.
    """

    source: str
    sources: dict[str, int]
    shards: int
    pane_us: int
    split: frozenset[str] = frozenset()

    def frames(self, entries: Iterable[Entry], *, floor: int, version: int) -> list[Message]:
        """Frames of entries that are counted up to one version, in the order of the entries."""
        sent: list[Message] = []
        waiting: dict[int, list[Entry]] = {}
        sizes: dict[int, int] = {}
        for entry in entries:
            home = entry.series[:-1] if entry.view in self.split else entry.series
            shard = shard_of(entry.view, home, self.shards)
            size = len(entry.vitals) + sum(map(len, entry.series)) * 4 + _AROUND
            if sizes.get(shard, 0) + size > LIMIT and shard in waiting:
                sent.append(self.frame(shard, waiting.pop(shard), floor=floor, version=version))
                sizes[shard] = 0
            waiting.setdefault(shard, []).append(entry)
            sizes[shard] = sizes.get(shard, 0) + size
        return sent + [
            self.frame(shard, mine, floor=floor, version=version) for shard, mine in sorted(waiting.items())
        ]

    def frame(self, shard: int, entries: Iterable[Entry] = (), *, floor: int, version: int) -> Message:
        """One frame; without entries it is a heartbeat."""
        frame = Frame(
            self.source, self.sources, shard, self.shards, floor, version, self.pane_us, tuple(entries)
        )
        return Message(Topic.PARTIALS, self.source.encode(), frame.encode(), partition=shard)
