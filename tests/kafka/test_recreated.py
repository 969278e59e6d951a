"""Topics that are deleted and created again, and offsets that are set by hand, on a real broker."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError
from aiokafka.structs import OffsetAndMetadata

from llmvitals.errors import SourceRecreated
from llmvitals.record.chunk import Chunk, Saved
from llmvitals.runtime.kafka.tail import Tail
from llmvitals.runtime.kafka.topic_ids import topic_ids
from rig import Rig
from stage_bench import HERE, Bench
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig import Worker


@pytest.fixture
async def rig(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(kafka, topic_prefix, tmp_path) as rig:
        yield rig


async def recreate(rig: Rig, name: str) -> None:
    await rig.delete(name)
    await rig.create(name)


async def fill(rig: Rig, name: str, count: int) -> None:
    topic = rig.settings.topic(name)
    sent = [await rig.producer.send(topic, b"%d" % n, partition=n % 4) for n in range(count)]
    await rig.producer.flush()
    for future in sent:
        await future


async def refused(worker: Worker, topic: str) -> None:
    assert await worker.ends(60) == 1
    text = worker.text()
    assert f"{topic} is another topic than the one that was read" in text, text[-3000:]
    assert "LLMVITALS_GROUP" in text


# The ids


@pytest.mark.kafka
async def test_a_topic_has_an_id_and_the_next_one_of_its_name_another(rig: Rig) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=rig.settings.brokers)
    await consumer.start()
    try:
        first = await topic_ids(consumer._client, [rig.calls, "no-such-topic"])
        assert list(first) == [rig.calls]
        assert len(first[rig.calls]) == 32
        await recreate(rig, "calls")

        async def another() -> bool:
            return (await topic_ids(consumer._client, [rig.calls])).get(rig.calls, "") not in (
                "",
                first[rig.calls],
            )

        await eventually(another)
    finally:
        await consumer.stop()


class Client:
    """A broker that is older than topic ids, or has topics from before."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get_random_node(self) -> int | None:
        return None if self.answer is None else 1

    async def send(self, node: int, request: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_a_broker_without_ids_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    old: Any = Client(IncompatibleBrokerVersion("no ids"))
    with caplog.at_level(logging.WARNING):
        assert await topic_ids(old, ["old"]) == {"old": ""}
        assert await topic_ids(old, ["old"]) == {"old": ""}
    assert [record.message.split(":")[0] for record in caplog.records] == ["old"]
    with pytest.raises(KafkaError):
        await topic_ids(Client(None), ["old"])


# What a checkpoint knows, without a broker


def saved(topic_id: str, *, applied: int = 60) -> Saved:
    return Saved(epoch=1, at=7, offset=0, applied=applied, topic_id=topic_id, parts={"manifest": b"0"})


async def test_a_checkpoint_of_another_topic_is_refused_however_long_the_new_one_is() -> None:
    bench = Bench()
    bench.world.saved[HERE] = saved("old")
    with pytest.raises(SourceRecreated, match=r"calls is another topic .* up to offset 60"):
        await bench.load()


@pytest.mark.parametrize(("had", "now", "applied"), [("", "new", 60), ("old", "", 60), ("old", "new", 0)])
async def test_an_id_that_is_not_known_or_of_which_nothing_was_read_is_no_reason(
    had: str, now: str, applied: int
) -> None:
    bench = Bench()
    bench.world.ids = {"calls": now}
    bench.world.saved[HERE] = saved(had, applied=applied)
    assert await bench.load() == {HERE: 0}


def test_a_checkpoint_without_an_id_is_read_and_one_with_it_by_older_versions() -> None:
    fields = (1, 2, False, 3, 4, b"x", 5)
    assert Chunk.decode(msgspec.msgpack.encode(fields)).topic_id == ""

    class Older(msgspec.Struct, array_like=True):
        sequence: int
        checksum: int
        packed: bool
        offset: int
        applied: int
        data: bytes
        heard: int = 0

    new = Chunk(*fields, topic_id="a0").encode()
    assert msgspec.msgpack.decode(new, type=Older) == Older(*fields)


# On the broker


@pytest.mark.kafka
async def test_a_recreated_topic_that_is_longer_already_is_refused(rig: Rig) -> None:
    await rig.publish(2_000)
    worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0
    counted = await rig.counted()
    await recreate(rig, "calls")
    await fill(rig, "calls", 6_000)
    for _ in range(2):
        await refused(rig.start(), rig.calls)
    assert await rig.counted() == counted
    # The first way out: another name.
    await rig.create("again")
    await fill(rig, "again", 400)
    again = rig.settings.topic("again")
    worker = rig.start(LLMVITALS_INPUTS=f'["{again}"]')

    async def all_read() -> bool:
        commits = await rig.committed()
        return sum(at for one, (at, _) in commits.items() if one.topic == again) == 400

    await eventually(all_read, what=worker.text()[-3000:])


@pytest.mark.kafka
async def test_a_topic_recreated_under_a_running_worker_stops_it_before_anything_is_skipped(
    rig: Rig,
) -> None:
    await rig.publish(40)
    worker = rig.start(LLMVITALS_SESSION_TIMEOUT="20s")
    await rig.assert_exact()
    counted = await rig.counted()
    await recreate(rig, "calls")
    await fill(rig, "calls", 8_000)
    assert await worker.ends(60) == 1
    assert "is another topic" in worker.text() or "was deleted while it was read" in worker.text()
    assert await rig.counted() == counted
    await refused(rig.start(), rig.calls)
    assert await rig.counted() == counted


@pytest.mark.kafka
async def test_a_worker_that_slept_through_it_applies_nothing_of_the_new_topic(rig: Rig) -> None:
    """It wakes up with the new topic longer than its position: aiokafka reads on without a word."""
    await rig.publish(40)
    worker = rig.start(LLMVITALS_SESSION_TIMEOUT="30s")
    await rig.assert_exact()
    frames = len(await rig.records("partials"))
    worker.process.send_signal(signal.SIGSTOP)
    await recreate(rig, "calls")
    await fill(rig, "calls", 8_000)
    worker.process.send_signal(signal.SIGCONT)
    assert await worker.ends(60) == 1
    assert len(await rig.records("partials")) == frames
    await refused(rig.start(), rig.calls)


@pytest.mark.kafka
async def test_partials_that_were_created_again_are_refused_too(rig: Rig) -> None:
    await fill(rig, "partials", 400)
    worker = rig.start("merge")
    await rig.caught_up("partials", "merge")
    assert await worker.stop() == 0
    await recreate(rig, "partials")
    await fill(rig, "partials", 4_000)
    worker = rig.start("merge")
    await refused(worker, rig.settings.topic("partials"))
    assert "restore the old one" in worker.text()


@pytest.mark.kafka
async def test_a_sink_reads_a_recreated_topic_from_its_beginning(rig: Rig, tmp_path: Path) -> None:
    await fill(rig, "vitals", 40)
    worker = rig.start("sink", SINK_FILE=str(tmp_path / "out"))
    await rig.caught_up("vitals", "sink")
    assert await worker.stop() == 0
    commits = {
        one: at for one, at in (await rig.committed("sink")).items() if one.topic.endswith("vitals.v1")
    }
    await recreate(rig, "vitals")
    # Kafka forgets the offsets of a topic that is deleted; here somebody restored them.
    await set_offsets(rig, "sink", commits)
    (tmp_path / "out.write").unlink()
    await fill(rig, "vitals", 400)
    worker = rig.start("sink", SINK_FILE=str(tmp_path / "out"))
    await rig.caught_up("vitals", "sink")

    async def written() -> bool:
        return len((tmp_path / "out.write").read_text().split()) == 400

    await eventually(written)
    assert "was deleted and created again" in worker.text()


@pytest.mark.kafka
async def test_news_of_a_recreated_compacted_topic_are_all_of_it(rig: Rig) -> None:
    """Silences, for example: the new topic is longer already than what was followed."""
    topic, tail = rig.settings.topic("silences"), Tail(rig.settings, "test")

    async def put(*values: bytes) -> None:
        for value in values:
            await rig.producer.send_and_wait(topic, value, key=value, partition=0)

    await tail.start()
    try:
        await put(b"a", b"b", b"c")
        assert [record.value for record in await tail.whole(topic)] == [b"a", b"b", b"c"]
        await put(b"d")
        assert [record.value for record in await tail.news(topic)] == [b"d"]
        await recreate(rig, "silences")
        await put(b"e", b"f", b"g", b"h", b"i", b"j")
        heard: set[bytes | None] = set()

        async def all_heard() -> bool:
            try:
                heard.update([record.value for record in await tail.news(topic)])
            except KafkaError:
                return False
            return heard == {b"e", b"f", b"g", b"h", b"i", b"j"}

        await eventually(all_heard)
        await put(b"k")
        assert [record.value for record in await tail.news(topic)] == [b"k"]
    finally:
        await tail.stop()


async def set_offsets(rig: Rig, stage: str, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
    """As kafka-consumer-groups --reset-offsets does: nobody is in the group."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=rig.settings.brokers,
        group_id=f"{rig.settings.group}-{stage}",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign(list(offsets))

        async def committed() -> bool:
            try:
                await consumer.commit({one: OffsetAndMetadata(*at) for one, at in offsets.items()})
            except KafkaError:
                return False
            return True

        await eventually(committed)
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_offsets_set_by_hand_have_no_effect_and_the_log_says_why(rig: Rig) -> None:
    await rig.publish(2_000)
    worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0
    parts = [TopicPartition(rig.calls, number) for number in range(4)]
    await set_offsets(rig, "combine", dict.fromkeys(parts, (10, "")))
    worker = rig.start()
    await worker.ready()
    await rig.publish(40)
    await rig.assert_exact()
    assert worker.text().count("to 10. That has no effect") == 4
    assert "reading goes on from offset 500" in worker.text()
    assert "LLMVITALS_GROUP" in worker.text()
    assert await worker.stop() == 0
    worker = rig.start()
    await worker.ready()
    assert "That has no effect" not in worker.text()


@pytest.mark.kafka
async def test_offsets_set_before_the_first_start_are_refused_with_the_way_out(rig: Rig) -> None:
    await rig.publish(40)
    await set_offsets(rig, "combine", {TopicPartition(rig.calls, 0): (5, "")})
    worker = rig.start()
    assert await worker.ends() == 1
    assert "was set by another tool" in worker.text()
    assert "--delete-offsets" in worker.text()
