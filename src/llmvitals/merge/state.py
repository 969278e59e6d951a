"""The checkpoint of a shard: some of the changed buckets at a time, and a manifest with their offsets."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

import msgspec

from llmvitals.errors import ConfigError, StateLost
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.packed_bucket import pack, unpack
from llmvitals.merge.plan import MergePlan
from llmvitals.merge.roster import CURE, Roster, RosterState
from llmvitals.merge.sources import Sources
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import AnyFrame, Frame
from llmvitals.record.log import Snapshot
from llmvitals.tracebacks import summary

VERSION = 2
READABLE = (1, 2)
"""In version 1 the vitals of a bucket were packed one by one: see packed_bucket."""


class Manifest(msgspec.Struct, array_like=True):
    """The part of a checkpoint that is written last.

    offset: where a restart reads from: the least offset that a bucket needs. sources, roster: as they were
    there. shards: how many there are, 0 before the first frame. bucket_count: how many buckets there can be.
    buckets: number → the offset up to which its newest record is applied; an older record is a lost write.
    sent: the messages of all frames below this offset are in Kafka; 0 in a checkpoint of an older version.
    """

    version: int
    shard: int
    shards: int
    bucket_count: int
    pane_us: int
    offset: int
    sources: Sources = msgspec.field(default_factory=Sources)
    buckets: dict[int, int] = {}
    roster: RosterState = msgspec.field(default_factory=RosterState)
    sent: int = 0


class Checkpoints:
    """Notes which buckets changed and since when, and keeps the sources as at the offset of the manifest.

    ahead: buckets that have applied the frame at `upto`, while others have not. unfinished: those that have
    begun to, or whose results are not all returned; they are left out of the snapshot, so their previous
    records stay.
    """

    def __init__(self, manifest: Manifest, roster: Roster) -> None:
        self.ahead: set[int] = set()
        self.unfinished: Collection[int] = ()
        self._manifest, self._roster = manifest, roster
        self._since: dict[int, int] = {}
        self._frames: deque[tuple[int, AnyFrame]] = deque()

    def changed(self, bucket: int, offset: int) -> None:
        """Note that the frame at this offset changed a bucket."""
        self._since.setdefault(bucket, offset)

    def sources_changed(self, offset: int, frame: AnyFrame) -> None:
        """Note that the frame at this offset changed the sources."""
        if isinstance(frame, Frame):
            self._frames.append((offset, msgspec.structs.replace(frame, entries=(), late=())))
        else:
            self._frames.append((offset, msgspec.structs.replace(frame, blocks=())))

    def due(self, plan: MergePlan, *, whole: bool) -> list[int]:
        """The buckets that `take` writes next."""
        share = len(self._since) if whole else math.ceil(plan.buckets / plan.rounds)
        if (
            self._roster.unsaved and not whole
        ):  # the new limits must be saved before any bucket that was filled by them
            share = 0
        complete = (number for number in self._since if number not in self.unfinished)
        return sorted(complete, key=self._since.__getitem__)[:share]

    def take(self, buckets: dict[int, Bucket], plan: MergePlan, *, upto: int, whole: bool) -> Snapshot:
        """Make a snapshot of some changed buckets (whole: of all). upto: the offset expected next.

        It is written when Kafka has the messages of all frames below that.
        """
        parts = {}
        manifest = self._manifest
        for number in self.due(plan, whole=whole):
            del self._since[number]
            buckets[number].applied = manifest.buckets[number] = upto + (number in self.ahead)
            parts[f"bucket/{number}"] = pack(buckets[number])
        manifest.offset, manifest.sent = min(self._since.values(), default=upto), upto
        while self._frames and self._frames[0][0] < manifest.offset:
            manifest.sources.take(self._frames.popleft()[1], plan.inputs)
        manifest.roster, roster_parts = self._roster.snapshot(manifest.offset, upto)
        parts |= roster_parts
        parts[MANIFEST] = msgspec.msgpack.encode(manifest)
        return Snapshot(manifest.offset, parts)


def read(parts: dict[str, bytes], plan: MergePlan, shard: int) -> tuple[Manifest, dict[int, Bucket]]:
    """Read a checkpoint.

    Raises StateLost when its parts don't fit together, ConfigError when it was made with other panes.
    """
    try:
        manifest = msgspec.msgpack.decode(parts[MANIFEST], type=Manifest)
        buckets = {
            int(name.removeprefix("bucket/")): unpack(data, plan)
            for name, data in parts.items()
            if name.startswith("bucket/")
        }
    except (ValueError, msgspec.DecodeError) as error:
        raise StateLost(
            f"the checkpoint of shard {shard} can't be read ({summary(error)}): {CURE}"
        ) from error
    if manifest.version not in READABLE or manifest.shard != shard:
        raise StateLost(f"the checkpoint of shard {shard} was written by another version: {CURE}")
    if manifest.pane_us != plan.pane_us:
        raise ConfigError(
            f"the checkpoint of shard {shard} has panes of {manifest.pane_us} µs, the settings of"
            f" {plan.pane_us}: set `pane` back, or start afresh with another `topic_prefix`"
        )
    for number, applied in manifest.buckets.items():
        if number not in buckets or buckets[number].applied < applied:
            raise StateLost(f"bucket {number} of shard {shard} is older than the manifest says: {CURE}")
        buckets[number].applied = max(buckets[number].applied, manifest.offset)
    manifest.version = VERSION
    return manifest, buckets
