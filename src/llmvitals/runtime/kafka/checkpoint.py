"""Checkpoints on the compacted topic: the owner of a partition writes them, the next owner reads them."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from llmvitals.errors import AFRESH, MissingTopic, StateLost
from llmvitals.record.chunk import MANIFEST, Chunk, ChunkKey, Saved, Version, pick, split
from llmvitals.record.log import Message, Topic
from llmvitals.runtime.kafka.producer import acknowledged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.record.log import Snapshot
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.runtime.kafka.tail import Tail
    from llmvitals.settings import Settings

log = logging.getLogger(__name__)


class Mark(NamedTuple):
    """The metadata of a commit: where its checkpoint lies.

    partition: of the checkpoint topic. at: the manifest's offset there. start: the lowest offset of
    the newest record of any part, where a load has to start reading.
    """

    partition: int
    at: int
    start: int

    def __str__(self) -> str:
        return f"1:{self.partition}:{self.at}:{self.start}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse metadata; None if it has another form, as after offsets were reset by hand."""
        try:
            form, *numbers = map(int, text.split(":"))
            return cls(*numbers) if form == 1 else None
        except (ValueError, TypeError):
            return None


class _Place(NamedTuple):
    """What all chunks of one checkpoint share: see `Chunk`."""

    offset: int
    applied: int
    heard: int
    topic_id: str


class CheckpointWriter:
    """Writes the checkpoints of one partition for its present owner.

    A new owner has a greater epoch than any before, so records of a zombie never win, whatever their order in
    the log; the version in the keys keeps compaction from replacing the owner's records by a zombie's.
    number: the partition of the checkpoint topic. topic_id: of the topic that is read; "" where there is
    none.
    """

    def __init__(
        self,
        producer: Producer,
        owner: str,
        saved: Saved,
        *,
        number: int,
        generation: int,
        topic_id: str = "",
    ) -> None:
        self._topic_id = topic_id or saved.topic_id
        self._producer, self._owner, self._partition = producer, owner, number
        self._version = Version(saved.epoch + 1, generation)
        self._places = dict(saved.places)
        self._sequences: dict[str, int] = defaultdict(int)
        self._slots: dict[str, int] = {}
        self._old = dict(saved.keys)
        self._own: dict[str, list[ChunkKey]] = {}
        """The keys of the parts that are written once."""
        self._written: set[str] = set()
        self._gone: set[str] = set()

    async def write(self, snapshot: Snapshot, applied: int, heard: int = 0) -> Mark:
        """Write the parts, then the manifest; return the mark to be committed with the offset.

        The manifest says where a restart reads from, so the parts must be written before it.
        heard: see `Chunk`. Raises NotSent when Kafka does not take a record.
        """
        parts = dict(snapshot.parts)
        manifest = parts.pop(MANIFEST)
        place = _Place(snapshot.offset, applied, heard, self._topic_id)
        gone: set[str] = set()
        if snapshot.lasting:
            gone = (self._places.keys() | self._old.keys()) - snapshot.parts.keys() - {MANIFEST}
            parts = {part: data for part, data in parts.items() if part not in self._places}
        await self._write(parts, place, lasting=snapshot.lasting)
        await self._write({MANIFEST: manifest}, place)
        for part in gone:
            self._places.pop(part, None)
        self._gone |= gone
        return Mark(self._partition, self._places[MANIFEST], min(self._places.values()))

    async def sweep(self) -> None:
        """Delete, after a commit, older versions of parts written since, and parts that are gone."""
        keys = [key for part in self._written | self._gone for key in self._old.pop(part, ())]
        keys += [key for part in self._gone for key in self._own.pop(part, ())]
        self._written.clear()
        self._gone.clear()
        await self._producer.deliver([self._message(key, None) for key in keys])

    async def _write(self, parts: Mapping[str, bytes], place: _Place, *, lasting: bool = False) -> None:
        # Posted one by one, then awaited together: the producer has a short queue, and hundreds of messages
        # that wait for a place in it at once would reach its timeout.
        posted = {part: await self._post(part, data, place) for part, data in parts.items()}
        await acknowledged([future for _, sent in posted.values() for future in sent])
        for part, (slot, sent) in posted.items():
            if lasting:
                self._own[part] = [self._key(part, slot, number) for number in range(len(sent))]
            else:
                self._slots[part] = slot
            self._places[part] = min(future.result().offset for future in sent)
            self._written.add(part)

    async def _post(self, part: str, data: bytes, place: _Place) -> tuple[int, list[asyncio.Future[Any]]]:
        self._sequences[part] += 1
        chunks = split(data, sequence=self._sequences[part], **place._asdict())
        # A single record replaces the one before it; several must not overwrite the last complete set.
        slot = 1 - self._slots.get(part, 1) if len(chunks) > 1 else 0
        keys = [self._key(part, slot, number) for number in range(len(chunks))]
        return slot, [
            await self._producer.post(self._message(key, chunk.encode()))
            for key, chunk in zip(keys, chunks, strict=True)
        ]

    def _key(self, part: str, slot: int, chunk: int) -> ChunkKey:
        return ChunkKey(self._owner, self._version, part, slot, chunk)

    def _message(self, key: ChunkKey, value: bytes | None) -> Message:
        return Message(Topic.CHECKPOINTS, key.encode(), value, self._partition)


class CheckpointStore:
    """The checkpoints of one consumer group."""

    def __init__(self, settings: Settings, group: str, producer: Producer, tail: Tail) -> None:
        self._topic, self._group = settings.topic(Topic.CHECKPOINTS), group
        self._producer, self._tail = producer, tail

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._tail.start()

    async def stop(self) -> None:
        """Close."""
        await self._tail.stop()

    async def load(
        self,
        commits: Mapping[TopicPartition, tuple[int, str] | None],
        generation: int,
        ids: Mapping[str, str],
    ) -> dict[TopicPartition, tuple[Saved, CheckpointWriter]]:
        """Return the newest checkpoint of each partition, and a writer for the next ones.

        commits: what the group has committed, (offset, metadata). ids: topic → its id. Raises StateLost when
        the checkpoint of a committed offset is missing, MissingTopic when the checkpoint topic is.
        """
        marks = {
            partition: Mark.parse(commit[1]) if commit else None for partition, commit in commits.items()
        }
        count = await self._partitions()
        places = self._places(marks, count)
        chunks, writers = await self._found(marks, places, count), {}
        for partition, number in places.items():
            owner, commit = self._owner(partition), commits[partition]
            saved = await asyncio.to_thread(pick, chunks.pop(owner, {}))
            if commit:
                self._check(partition, commit, saved, marks[partition])
            topic_id = ids.get(partition.topic, "")
            writer = CheckpointWriter(
                self._producer, owner, saved, number=number, generation=generation, topic_id=topic_id
            )
            writers[partition] = saved, writer
        return writers

    def _places(self, marks: Mapping[TopicPartition, Mark | None], count: int) -> dict[TopicPartition, int]:
        """Return, for each partition, the partition of the checkpoint topic that holds its checkpoint.

        count: how many the checkpoint topic has.
        """
        return {
            partition: mark.partition if mark else zlib.crc32(self._owner(partition).encode()) % count
            for partition, mark in marks.items()
        }

    async def _found(
        self, marks: Mapping[TopicPartition, Mark | None], places: Mapping[TopicPartition, int], count: int
    ) -> dict[str, dict[ChunkKey, tuple[int, Chunk]]]:
        """Read the chunks of all owners, from the lowest offset that the marks allow."""
        starts: dict[int, int] = {}
        for partition, number in places.items():
            start = mark.start if (mark := marks[partition]) else 0
            starts[number] = min(starts.get(number, start), start)
        return await self._read({number: start for number, start in starts.items() if number < count})

    def _check(
        self, partition: TopicPartition, commit: tuple[int, str], saved: Saved, mark: Mark | None
    ) -> None:
        """Raise StateLost when the checkpoint of a commit is missing; log a commit by another tool."""
        if saved.at < 0 or (mark and saved.at < mark.at):
            raise StateLost(self._lost(partition, commit, ours=mark is not None))
        if mark is None:
            log.warning("%s", self._reset(partition, commit[0], saved))

    async def _partitions(self) -> int:
        try:
            return await self._producer.partitions(Topic.CHECKPOINTS)
        except UnknownTopicOrPartitionError:
            raise MissingTopic(f"Kafka has no topic {self._topic}: run `llmvitals topics apply`") from None

    async def _read(self, starts: Mapping[int, int]) -> dict[str, dict[ChunkKey, tuple[int, Chunk]]]:
        """Return owner → key → its newest record, as compaction would leave it."""
        found: dict[str, dict[ChunkKey, tuple[int, Chunk]]] = defaultdict(dict)
        places = {TopicPartition(self._topic, number): start for number, start in starts.items()}
        async for records in self._tail.read(places):
            for record in records:
                if not record.key or not record.key.startswith(f"{self._group}|".encode()):
                    continue
                try:
                    key = ChunkKey.decode(record.key)
                    chunk = Chunk.decode(record.value) if record.value is not None else None
                except (ValueError, msgspec.DecodeError):
                    log.warning(
                        "%s[%d] offset %d is no checkpoint", self._topic, record.partition, record.offset
                    )
                    continue
                if chunk is None:
                    found[key.owner].pop(key, None)
                else:
                    found[key.owner][key] = (record.offset, chunk)
        return found

    def _owner(self, partition: TopicPartition) -> str:
        return f"{self._group}|{partition.topic}|{partition.partition}"

    def _lost(self, partition: TopicPartition, commit: tuple[int, str], *, ours: bool) -> str:
        place, group = f"{partition.topic}[{partition.partition}]", self._group
        if not ours:
            return (
                f"The committed offset {commit[0]} of {place} was set by another tool, and {self._topic} has "
                f"no state that belongs to it: the group {group} can't begin there. If the group is new, "
                "delete its offsets, and it begins at the oldest record: kafka-consumer-groups --group "
                f"{group} --topic {partition.topic} --delete-offsets. Else restore {self._topic}; or begin "
                f"afresh: {AFRESH}"
            )
        return (
            f"The group {group} has committed offset {commit[0]} of {place}, but the state that belongs to "
            f"it is not in {self._topic}: it was emptied, or lost records. Going on would count wrongly. "
            f"Restore that topic; or begin afresh: {AFRESH}"
        )

    def _reset(self, partition: TopicPartition, offset: int, saved: Saved) -> str:
        return (
            f"{partition.topic}[{partition.partition}]: another tool has set the offset of the group "
            f"{self._group} to {offset}. That has no effect: state and offset belong together, so reading "
            f"goes on from offset {saved.offset}, as the checkpoint in {self._topic} says. To count again "
            f"from the oldest record: {AFRESH}"
        )
