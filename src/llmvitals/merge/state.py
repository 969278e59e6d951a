"""A shard's checkpoint: fuzzy, a share of the buckets at a time, and the manifest that ties them together."""

from __future__ import annotations

import math
from collections import deque

import msgspec

from llmvitals.errors import ConfigError, StateLost
from llmvitals.merge.bucket import Bucket, unpack
from llmvitals.merge.plan import MergePlan
from llmvitals.merge.roster import CURE, Mark, Roster
from llmvitals.merge.sources import Sources
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import Frame
from llmvitals.record.log import Snapshot
from llmvitals.tracebacks import summary

VERSION = 1


class Manifest(msgspec.Struct, array_like=True):
    """offset: where a restart reads from, the least that any bucket needs. sources: as they were there.

    shards: how many there are, 0 while no frame has said it. pieces: how many buckets there can be. buckets:
    number → the offset that its newest record is applied up to; an older record is a lost write. roster: as
    it was at `offset`.
    """

    version: int
    shard: int
    shards: int
    pieces: int
    pane_us: int
    offset: int
    sources: Sources = msgspec.field(default_factory=Sources)
    buckets: dict[int, int] = {}
    roster: Mark = msgspec.field(default_factory=Mark)


class Checkpoints:
    """Which buckets changed since when, and the sources as they were at the offset of the manifest.

    ahead: buckets that have the frame at `upto` already, while others have not. torn: the bucket that has
    half of it: what is written of that one is what was written before.
    """

    def __init__(self, manifest: Manifest, roster: Roster) -> None:
        self.ahead: set[int] = set()
        self.torn: int | None = None
        self._manifest, self._roster = manifest, roster
        self._since: dict[int, int] = {}
        self._frames: deque[tuple[int, Frame]] = deque()

    def changed(self, bucket: int, offset: int) -> None:
        """The frame at this offset changed a bucket."""
        self._since.setdefault(bucket, offset)

    def moved(self, offset: int, frame: Frame) -> None:
        """The frame at this offset changed the sources."""
        self._frames.append((offset, msgspec.structs.replace(frame, entries=())))

    def take(self, buckets: dict[int, Bucket], plan: MergePlan, *, upto: int, whole: bool) -> Snapshot:
        """The buckets whose turn it is, and the manifest after them; upto: the offset expected next."""
        share = len(self._since) if whole else math.ceil(plan.buckets / plan.rounds)
        if self._roster.unsaved and not whole:  # no bucket before it is known by which limits it was filled
            share = 0
        parts = {}
        manifest = self._manifest
        whole_ones = (number for number in self._since if number != self.torn)
        for number in sorted(whole_ones, key=self._since.__getitem__)[:share]:
            del self._since[number]
            buckets[number].applied = manifest.buckets[number] = upto + (number in self.ahead)
            parts[f"bucket/{number}"] = buckets[number].pack()
        manifest.offset = min(self._since.values(), default=upto)
        while self._frames and self._frames[0][0] < manifest.offset:
            manifest.sources.take(self._frames.popleft()[1], plan.inputs)
        manifest.roster, names = self._roster.snapshot(manifest.offset, upto)
        parts |= names
        parts[MANIFEST] = msgspec.msgpack.encode(manifest)
        return Snapshot(manifest.offset, parts)


def read(parts: dict[str, bytes], plan: MergePlan, shard: int) -> tuple[Manifest, dict[int, Bucket]]:
    """What a checkpoint holds.

    Raises StateLost when its parts don't hang together, ConfigError when it was made with other panes.
    """
    try:
        manifest = msgspec.msgpack.decode(parts[MANIFEST], type=Manifest)
        buckets = {
            int(name.removeprefix("bucket/")): unpack(data)
            for name, data in parts.items()
            if name.startswith("bucket/")
        }
    except (ValueError, msgspec.DecodeError) as error:
        raise StateLost(
            f"the checkpoint of shard {shard} can't be read ({summary(error)}): {CURE}"
        ) from error
    if (manifest.version, manifest.shard, manifest.pieces) != (VERSION, shard, plan.buckets):
        raise StateLost(f"the checkpoint of shard {shard} was made by another llmvitals: {CURE}")
    if manifest.pane_us != plan.pane_us:
        raise ConfigError(
            f"the checkpoint of shard {shard} has panes of {manifest.pane_us} µs, the settings of"
            f" {plan.pane_us}: set `pane` back, or start afresh with another `topic_prefix`"
        )
    for number, applied in manifest.buckets.items():
        if number not in buckets or buckets[number].applied < applied:
            raise StateLost(f"bucket {number} of shard {shard} is older than the manifest knows it: {CURE}")
        buckets[number].applied = max(buckets[number].applied, manifest.offset)
    return manifest, buckets
