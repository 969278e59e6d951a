from __future__ import annotations

import asyncio
import os
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.errors import StateLost
from llmvitals.record.chunk import LIMIT, Chunk, ChunkKey, Saved, Version, pick, split
from llmvitals.record.log import Message, Snapshot, Topic
from llmvitals.runtime.kafka.checkpoint import CheckpointStore, CheckpointWriter, Mark
from llmvitals.runtime.kafka.producer import Producer
from llmvitals.runtime.kafka.tail import Tail
from rig import Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OWNER = "group|topic|3"


class Log:
    """A compacted topic in memory; `compacted` is what a reader must be content with."""

    def __init__(self) -> None:
        self.compacted: dict[ChunkKey, tuple[int, Chunk]] = {}
        self.end = 0

    def append(self, key: ChunkKey, chunk: Chunk) -> None:
        self.compacted[key] = (self.end, chunk)
        self.end += 1

    def write(
        self, version: Version, part: str, data: bytes, *, sequence: int = 1, slot: int = 0, only: int = 9
    ) -> None:
        for number, chunk in enumerate(
            split(data, sequence=sequence, offset=sequence, applied=sequence)[:only]
        ):
            self.append(ChunkKey(OWNER, version, part, slot, number), chunk)


def noise(size: int, seed: int = 0) -> bytes:
    return b"".join(zlib.crc32(b"%d.%d" % (seed, n)).to_bytes(4, "big") for n in range(size // 4))


def test_keys_and_chunks_survive_the_wire() -> None:
    key = ChunkKey("g|t.v1|7", Version(12, 3), "bucket/5", 1, 2)
    assert key.encode() == b"g|t.v1|7|12.3|bucket/5|1.2"
    assert ChunkKey.decode(key.encode()) == key
    (chunk,) = split(b"abc", sequence=4, offset=5, applied=6)
    assert Chunk.decode(chunk.encode()) == chunk == Chunk(4, zlib.crc32(b"abc"), False, 5, 6, b"abc")


def test_a_mark_is_read_back_and_strange_metadata_is_no_mark() -> None:
    assert Mark.parse(str(Mark(1, 2, 3))) == Mark(1, 2, 3)
    assert [Mark.parse(text) for text in ("", "2:1:2:3", "1:2", "1:2:3:4:5", "x")] == [None] * 5


@given(st.binary(max_size=2_000), st.integers(0, 3))
def test_a_part_of_any_size_comes_back(data: bytes, times: int) -> None:
    log = Log()
    log.write(Version(1, 1), "manifest", data * 2**times)
    assert pick(log.compacted).parts == {"manifest": data * 2**times}


def test_a_part_over_the_limit_is_compressed_and_split() -> None:
    assert len(split(bytes(3 * LIMIT), sequence=1, offset=0, applied=0)) == 1
    chunks = split(noise(3 * LIMIT), sequence=1, offset=0, applied=0)
    assert len(chunks) == 4
    assert all(len(chunk.data) <= LIMIT for chunk in chunks)


def test_nothing_is_found_where_nothing_is() -> None:
    assert pick({}) == Saved()


def test_the_newest_owner_wins_over_a_zombie_that_writes_later() -> None:
    log = Log()
    log.write(Version(1, 7), "manifest", b"old")
    log.write(Version(2, 8), "manifest", b"owner")
    log.write(Version(1, 7), "manifest", b"zombie", sequence=2)
    log.write(Version(1, 7), "bucket/0", b"zombie's")
    saved = pick(log.compacted)
    assert (saved.parts["manifest"], saved.epoch, saved.at) == (b"owner", 2, 1)


def test_a_recreated_group_begins_again_with_generation_one() -> None:
    log = Log()
    log.write(Version(4, 90), "manifest", b"before")
    log.write(Version(5, 1), "manifest", b"after")
    assert pick(log.compacted).parts["manifest"] == b"after"


def test_buckets_of_a_newer_owner_without_a_manifest_do_not_count() -> None:
    log = Log()
    log.write(Version(1, 1), "bucket/0", b"a")
    log.write(Version(1, 1), "manifest", b"m")
    log.write(Version(2, 2), "bucket/0", b"b")
    saved = pick(log.compacted)
    assert (saved.parts, saved.epoch) == ({"manifest": b"m", "bucket/0": b"a"}, 2)


def test_a_bucket_that_a_later_owner_never_wrote_is_taken_from_the_earlier() -> None:
    log = Log()
    log.write(Version(1, 1), "bucket/0", b"a")
    log.write(Version(1, 1), "bucket/1", b"b")
    log.write(Version(2, 2), "bucket/1", b"c")
    log.write(Version(2, 2), "manifest", b"m")
    saved = pick(log.compacted)
    assert saved.parts == {"manifest": b"m", "bucket/0": b"a", "bucket/1": b"c"}
    assert saved.places == {"bucket/0": 0, "bucket/1": 2, "manifest": 3}


@pytest.mark.parametrize("only", [1, 2])
def test_half_a_part_leaves_the_last_whole_one(only: int) -> None:
    log, version = Log(), Version(1, 1)
    log.write(version, "manifest", b"m")
    log.write(version, "bucket/0", noise(3 * LIMIT, 1), sequence=1, slot=0)
    log.write(version, "bucket/0", noise(2 * LIMIT, 2), sequence=2, slot=1)
    log.write(version, "bucket/0", noise(3 * LIMIT, 3), sequence=3, slot=0, only=only)
    assert pick(log.compacted).parts["bucket/0"] == noise(2 * LIMIT, 2)


class Failing:
    """An producer on such a log that takes only so many records."""

    def __init__(self, log: Log, takes: int) -> None:
        self.log, self.takes = log, takes

    async def post(self, message: Message) -> asyncio.Future[Any]:
        if self.takes == 0:
            raise OSError("the power went out")
        self.takes -= 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(SimpleNamespace(offset=self.log.end))
        self.log.append(ChunkKey.decode(message.key), Chunk.decode(message.value or b""))
        return future


@pytest.mark.parametrize("sizes", [(3, 3), (0, 3), (3, 0, 2), (3, 2, 0, 3), (2, 2, 2, 2)])
@pytest.mark.parametrize("torn", [1, 2])
async def test_whatever_is_torn_the_last_whole_writing_is_there(sizes: tuple[int, ...], torn: int) -> None:
    log = Log()
    producer: Any = Failing(log, 1_000)
    writer = CheckpointWriter(producer, OWNER, Saved(), number=0, generation=1)
    for turn, size in enumerate(sizes):
        await writer.write(Snapshot(turn, {"manifest": b"m", "part": noise(size * LIMIT, turn)}), turn)
    producer.takes = torn
    with pytest.raises(OSError, match="power"):
        await writer.write(Snapshot(9, {"manifest": b"m", "part": noise(3 * LIMIT, 9)}), 9)
    assert pick(log.compacted).parts["part"] == noise(sizes[-1] * LIMIT, len(sizes) - 1)


async def test_parts_wait_for_kafka_together_and_the_manifest_for_all_of_them() -> None:
    sent: list[tuple[str, asyncio.Future[Any]]] = []

    class Slow:
        async def post(self, message: Message) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            sent.append((ChunkKey.decode(message.key).part, future))
            return future

    producer: Any = Slow()
    writer = CheckpointWriter(producer, OWNER, Saved(), number=2, generation=1)
    parts = {"manifest": b"m", **{f"bucket/{number}": b"b" for number in range(256)}}
    writing = asyncio.ensure_future(writer.write(Snapshot(1, parts), 1))
    await asyncio.sleep(0)
    assert [part for part, _ in sent] == [f"bucket/{number}" for number in range(256)]
    for place, (_, future) in enumerate(sent[1:], 41):
        future.set_result(SimpleNamespace(offset=place))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(sent) == 256
    sent[0][1].set_result(SimpleNamespace(offset=40))
    for _ in range(5):
        await asyncio.sleep(0)
    assert sent[256][0] == "manifest"
    sent[256][1].set_result(SimpleNamespace(offset=300))
    assert await writing == Mark(2, 300, 40)


async def test_a_checkpoint_knows_when_its_partition_was_heard_and_an_older_one_does_not() -> None:
    log = Log()
    producer: Any = Failing(log, 1_000)
    await CheckpointWriter(producer, OWNER, Saved(), number=0, generation=1).write(
        Snapshot(1, {"manifest": b"m"}), 2, 34
    )
    assert pick(log.compacted).heard == 34
    before = msgspec.msgpack.encode([1, zlib.crc32(b"m"), False, 5, 6, b"m"])
    assert Chunk.decode(before).heard == 0


def test_a_damaged_part_is_as_if_it_were_not_there() -> None:
    log = Log()
    log.write(Version(1, 1), "manifest", b"good")
    (chunk,) = split(b"bad", sequence=1, offset=9, applied=9)
    damaged = Chunk(1, chunk.checksum, False, 9, 9, b"baD")
    log.append(ChunkKey(OWNER, Version(2, 2), "manifest", 0, 0), damaged)
    saved = pick(log.compacted)
    assert (saved.parts, saved.epoch) == ({"manifest": b"good"}, 2)


async def test_lasting_parts_are_written_once_and_removed_when_they_are_gone() -> None:
    log = Log()
    producer: Any = Failing(log, 1_000)

    async def deliver(messages: list[Message]) -> None:
        for message in messages:
            del log.compacted[ChunkKey.decode(message.key)]

    producer.deliver = deliver
    parts = {"ids.1": noise(2 * LIMIT, 1), "ids.2": b"two"}
    first = CheckpointWriter(producer, OWNER, Saved(), number=0, generation=1)
    await first.write(Snapshot(1, {"manifest": b"m1"} | parts, lasting=True), 1)
    written = log.end
    mark = await first.write(Snapshot(2, {"manifest": b"m2"} | parts, lasting=True), 2)
    assert log.end == written + 1, "only the manifest is written again"
    assert mark.start == 0
    await first.sweep()
    assert pick(log.compacted).parts == {"manifest": b"m2"} | parts

    second = CheckpointWriter(producer, OWNER, pick(log.compacted), number=0, generation=2)
    later = {"ids.2": b"two", "ids.3": b"three"}
    mark = await second.write(Snapshot(3, {"manifest": b"m3"} | later, lasting=True), 3)
    assert mark.start == pick(log.compacted).places["ids.2"]
    await second.sweep()
    assert pick(log.compacted).parts == {"manifest": b"m3"} | later
    assert {key.part for key in log.compacted} == {"manifest", "ids.2", "ids.3"}

    last = {"ids.3": b"three"}
    await second.write(Snapshot(4, {"manifest": b"m4"} | last, lasting=True), 4)
    await second.sweep()
    assert {key.part for key in log.compacted} == {"manifest", "ids.3"}


# --- on the broker

HERE = TopicPartition("calls", 3)
IDS = {"calls": "a0"}


@pytest.fixture
async def rig(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(kafka, topic_prefix, tmp_path) as rig:
        yield rig


@pytest.fixture
async def producer(rig: Rig) -> AsyncIterator[Producer]:
    producer = Producer(rig.settings, "test")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def store(rig: Rig, producer: Producer) -> AsyncIterator[CheckpointStore]:
    store = CheckpointStore(rig.settings, "group", producer, Tail(rig.settings, "test"))
    await store.start()
    yield store
    await store.stop()


def snapshot(offset: int, **parts: bytes) -> Snapshot:
    return Snapshot(offset, {"manifest": b"m%d" % offset, **parts})


@pytest.mark.kafka
async def test_what_was_written_is_loaded_by_the_next_owner(store: CheckpointStore) -> None:
    saved, first = (await store.load({HERE: None}, 1, IDS))[HERE]
    assert saved.at == -1
    await first.write(snapshot(10, a=b"1", b=b"2"), 15)
    mark = await first.write(snapshot(20, a=b"3"), 25)
    saved, second = (await store.load({HERE: (20, str(mark))}, 2, IDS))[HERE]
    assert (saved.epoch, saved.offset, saved.applied) == (1, 20, 25)
    assert saved.parts == {"manifest": b"m20", "a": b"3", "b": b"2"}

    mark = await second.write(snapshot(30), 30)
    await first.write(snapshot(29, a=b"zombie"), 29)
    saved, third = (await store.load({HERE: (30, str(mark))}, 3, IDS))[HERE]
    assert (saved.epoch, saved.offset) == (2, 30)
    assert saved.parts["manifest"] == b"m30"

    await third.write(snapshot(40, a=b"4"), 40)
    await third.sweep()
    saved, _ = (await store.load({HERE: (30, str(mark))}, 4, IDS))[HERE]
    assert saved.parts == {"manifest": b"m40", "a": b"4", "b": b"2"}
    assert {key.version.epoch for part in ("manifest", "a") for key in saved.keys[part]} == {3}


@pytest.mark.kafka
async def test_a_large_part_is_written_again_and_again(store: CheckpointStore) -> None:
    _, writer = (await store.load({HERE: None}, 1, IDS))[HERE]
    mark = None
    for turn in range(4):
        mark = await writer.write(snapshot(turn, large=noise((3 - turn % 2) * LIMIT, turn)), turn)
    saved, _ = (await store.load({HERE: (3, str(mark))}, 2, IDS))[HERE]
    assert saved.parts["large"] == noise(2 * LIMIT, 3)


@pytest.mark.kafka
async def test_a_commit_without_its_checkpoint_is_a_lost_state(store: CheckpointStore) -> None:
    with pytest.raises(StateLost, match="LLMVITALS_GROUP"):
        await store.load({HERE: (7, "")}, 1, IDS)
    _, writer = (await store.load({HERE: None}, 1, IDS))[HERE]
    mark = await writer.write(snapshot(10), 10)
    with pytest.raises(StateLost):
        await store.load({HERE: (11, str(mark._replace(at=mark.at + 1)))}, 2, IDS)
    with pytest.raises(StateLost):
        await store.load({HERE: (11, str(mark._replace(partition=99)))}, 2, IDS)


@pytest.mark.kafka
async def test_strange_records_on_the_topic_do_no_harm(store: CheckpointStore, producer: Producer) -> None:
    _, writer = (await store.load({HERE: None}, 1, IDS))[HERE]
    mark = await writer.write(snapshot(10), 10)
    for key, value in [
        (b"group|x", b"y"),
        (b"group|calls|3|1.1|manifest|0.0", b"no msgpack"),
        (b"\xff", b""),
    ]:
        await producer.deliver([Message(Topic.CHECKPOINTS, key, value, mark.partition)])
    saved, _ = (await store.load({HERE: (10, str(mark))}, 1, IDS))[HERE]
    assert saved.offset == 10


@pytest.mark.kafka
@pytest.mark.timeout(60)
async def test_thirty_megabytes_load_soon(store: CheckpointStore) -> None:
    _, writer = (await store.load({HERE: None}, 1, IDS))[HERE]
    buckets = {f"bucket/{number}": os.urandom(470_000) for number in range(64)}
    mark = await writer.write(snapshot(10, **buckets), 10)
    saved, _ = (await store.load({HERE: (10, str(mark))}, 2, IDS))[HERE]
    assert saved.parts == {"manifest": b"m10", **buckets}
