"""The dead-letter topic can't be written: the stage waits, acknowledges nothing, and goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    KafkaStorageError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from cluster import Cluster
from llmvitals.combine.dead_letters import dead_letter
from llmvitals.errors import BadCall, Code
from llmvitals.record.chunk import LIMIT
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.runtime.kafka import dead_letters
from llmvitals.runtime.kafka.dead_letters import DeadLetters
from llmvitals.runtime.kafka.producer import NotSent
from llmvitals.runtime.kafka.watchdog import Patience
from llmvitals.topics.change import alter_settings
from stage_bench import HERE, Bench
from waiting import deadline, eventually, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from cluster import Worker

# Without a broker


class Broker:
    """An producer whose topic refuses with `error`, as long as there is one, batches larger than `most`."""

    def __init__(self, error: Exception | None = None, *, most: int | None = None) -> None:
        self.error, self.most = error, most
        self.posted: list[asyncio.Future[Any]] = []
        self.taken: list[bytes] = []
        self.silent = False

    async def there(self, topic: Topic) -> bool:
        return not isinstance(self.error, UnknownTopicOrPartitionError)

    async def post(self, message: Message) -> asyncio.Future[Any]:
        if isinstance(self.error, TopicAuthorizationFailedError):
            raise NotSent("no right") from self.error
        waiting = sum(not future.done() for future in self.posted)
        future = asyncio.get_running_loop().create_future()
        self.posted.append(future)
        error = self.error
        if self.most is not None and waiting >= self.most:
            error = MessageSizeTooLargeError("batch")
        if not self.silent:
            asyncio.get_running_loop().call_later(0.001, self._end, future, error, message)
        return future

    def _end(self, future: asyncio.Future[Any], error: Exception | None, message: Message) -> None:
        if error:
            future.set_exception(error)
        else:
            self.taken.append(message.key)
            future.set_result(None)


LETTERS = [Message(Topic.DEAD_LETTERS, b"%d" % number, b"{}") for number in range(5)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(dead_letters, "_LONGEST_WAIT", 0.001)
    monkeypatch.setattr(dead_letters, "_PATIENCE", 0.2)


async def fact(said: Callable[[], object]) -> None:
    await eventually(said, 20, every=0.001)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (UnknownTopicOrPartitionError("gone"), "`llmvitals topics apply` creates it"),
        (MessageSizeTooLargeError("large"), "larger than its max.message.bytes"),
        (TopicAuthorizationFailedError("no"), "no permission"),
        (KafkaStorageError("disk"), "KafkaStorageError. Look at the topic"),
    ],
)
async def test_letters_wait_for_their_topic_and_say_what_to_do(error: Exception, cure: str) -> None:
    broker, reasons = Broker(error), dict[str, str | None]()
    producer: Any = broker
    letters = DeadLetters(producer, "llm.calls.dlq.v1", reasons.__setitem__)
    sent = letters.send(LETTERS)
    await fact(lambda: letters.blocked.is_set())
    assert cure in (letters.trouble or "")
    assert reasons[dead_letters.WHO] == letters.trouble
    assert "; " not in (letters.trouble or "")  # /readyz takes reasons apart there
    assert not sent.done()
    broker.error = None
    await asyncio.wait_for(sent, deadline(20))
    assert sorted(broker.taken) == [dead_letter.key for dead_letter in LETTERS]
    assert (letters.trouble, reasons[dead_letters.WHO]) == (None, None)
    assert not letters.blocked.is_set()


@pytest.mark.usefixtures("quick")
async def test_letters_too_large_together_go_one_by_one() -> None:
    broker: Any = Broker(most=2)
    await asyncio.wait_for(DeadLetters(broker, "dlq", lambda *_: None).send(LETTERS), deadline(20))
    assert sorted(broker.taken) == [dead_letter.key for dead_letter in LETTERS]


@pytest.mark.usefixtures("quick")
async def test_silence_is_trouble_too_and_who_leaves_waits_no_more() -> None:
    broker: Any = Broker()
    broker.silent = True
    letters = DeadLetters(broker, "dlq", lambda *_: None)
    sent = letters.send(LETTERS)
    await fact(lambda: letters.trouble)
    letters.forget()
    await asyncio.wait({sent})
    assert sent.cancelled()
    assert letters.trouble is None


@pytest.mark.usefixtures("quick")
async def test_a_driver_that_can_not_deliver_letters_takes_sends_and_saves_nothing() -> None:
    bench = Bench()
    world: Any = bench.world
    await bench.load()
    stage, topic = bench.stages[0], Topic.DEAD_LETTERS
    broken, post = asyncio.Event(), world.post

    async def refuse(message: Message) -> Any:
        if message.topic is topic and not broken.is_set():
            raise NotSent("no") from KafkaStorageError("disk")
        return await post(message)

    async def there(_: Topic) -> bool:
        return True

    world.post, world.there = refuse, there
    apply = stage.apply
    stage.apply = lambda records: [*apply(records), Message(topic, b"letter", b"")]  # type: ignore[method-assign]
    await bench.take(0, 5)
    await fact(lambda: bench.runner.progress()[0].waiting)
    assert bench.drain() == ["send frame 5"]
    assert await bench.runner.save()
    await bench.runner.tick()
    taking = asyncio.create_task(bench.take(5, 9))
    watch, ends = Patience(1), {HERE: 1_000}
    for now in (0, 1_000):
        assert watch.look(now, bench.runner.progress(), ends) is None
    assert bench.drain() == []
    assert not taking.done()
    broken.set()
    await taking
    assert await bench.runner.save()
    events = bench.drain()
    assert events[:2] == ["send letter ", "send frame 9"]
    assert events[-2:] == ["checkpoint 9", "commit [9]"]
    # Who leaves while it lasts saves nothing past it, and holds up nobody.
    broken.clear()
    await bench.take(9, 12)
    await fact(lambda: bench.runner.progress()[0].waiting)
    assert await bench.runner.save(last=True)
    assert bench.drain() == ["send frame 12"]
    await bench.load()
    bench.drain()
    stage = bench.stages[0]
    stage.apply = lambda records: [Message(topic, b"letter", b"")]  # type: ignore[method-assign]
    await bench.take(0, 5)
    await fact(lambda: bench.runner.progress()[0].waiting)
    taking = asyncio.create_task(bench.take(5, 9))
    await asyncio.sleep(0.1)  # it waits in the loop
    bench.runner.forget()
    await taking
    assert bench.drain() == []


# On the broker


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(
        kafka, topic_prefix, tmp_path, checkpoint="200ms", flush="100ms", default_views=False
    ) as made:
        yield made


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


def calls(first: int, count: int, poison: int) -> list[bytes]:
    """Every `poison`-th can't be read."""
    now = time.time_ns() // 1_000_000
    return [
        b"poison %d" % number
        if number % poison == 0
        else b'{"id":"c%d","ts":%d,"model":"gpt-4o","provider":"openai"}' % (number, now)
        for number in range(first, first + count)
    ]


async def letters(cluster: Cluster) -> list[int]:
    """The offsets of which there are dead letters."""
    records = await cluster.read(cluster.settings.topic("calls.dlq"))
    return sorted(int(record.key.rsplit(b"/", 1)[1]) for record in records)


async def arrived(cluster: Cluster, offsets: list[int]) -> None:
    """Wait until there are dead letters of just these: they are counted before Kafka has them."""

    async def all_there() -> bool:
        return await letters(cluster) == offsets

    await eventually(all_there, 30, "not all dead letters are on the topic", every=0.5)


async def committed(admin: AIOKafkaAdminClient, cluster: Cluster) -> int:
    found = await admin.list_consumer_group_offsets(f"{cluster.settings.group}-combine")
    here = TopicPartition(cluster.settings.topic("calls"), 0)
    return found[here].offset if here in found else 0


async def seen(worker: Worker, name: str, count: int) -> None:
    await asyncio.to_thread(until, lambda: worker.metric(f"llmvitals_{name}_total") >= count, 60, worker.text)
    assert worker.metric(f"llmvitals_{name}_total") == count


async def waits(worker: Worker, why: str) -> None:
    def said() -> bool:
        return "can't be written" in worker.reasons() and why in worker.reasons()

    await asyncio.to_thread(until, said, 60, lambda: worker.reasons() + worker.text()[-3000:])


@pytest.mark.kafka
async def test_a_deleted_dead_letter_topic_is_waited_for(
    cluster: Cluster, admin: AIOKafkaAdminClient
) -> None:
    topic, dlq = cluster.settings.topic("calls"), cluster.settings.topic("calls.dlq")
    worker = cluster.start("combine", LLMVITALS_STALL="8s")
    await worker.ready()
    await cluster.publish(topic, 0, calls(0, 400, 4))
    await seen(worker, "calls_applied", 300)
    await asyncio.to_thread(until, lambda: worker.reasons() == "", 30)
    await admin.delete_topics([dlq])
    await cluster.publish(topic, 0, calls(400, 400, 4))
    await waits(worker, "it does not exist. `llmvitals topics apply` creates it")
    stood = await committed(admin, cluster)
    assert stood <= 401
    await cluster.publish(topic, 0, calls(800, 4_000, 4))
    # Longer than the watchdog lets a partition stand for no reason.
    began = time.monotonic()
    await asyncio.to_thread(until, lambda: time.monotonic() - began > 12 and worker.reasons(), 60)
    assert worker.process.poll() is None
    assert await committed(admin, cluster) == stood
    await cluster.apply_topics()
    await seen(worker, "calls_applied", 3_600)
    await seen(worker, "calls_dead_lettered", 1_200)
    await worker.ready()
    await arrived(cluster, list(range(400, 4_800, 4)))
    assert await asyncio.to_thread(worker.stop) == 0


@pytest.mark.kafka
async def test_a_dead_letter_topic_for_too_small_messages_is_waited_for_also_over_a_restart(
    cluster: Cluster, admin: AIOKafkaAdminClient
) -> None:
    topic, dlq = cluster.settings.topic("calls"), cluster.settings.topic("calls.dlq")
    await alter_settings(admin, dlq, {"max.message.bytes": "100"})
    await cluster.publish(topic, 0, calls(0, 400, 4))
    for _ in range(2):
        worker = cluster.start("combine")
        await waits(worker, "larger than its max.message.bytes")
        assert await committed(admin, cluster) == 0
        assert await asyncio.to_thread(worker.stop) == 0, worker.text()
    worker = cluster.start("combine")
    await waits(worker, "larger than its max.message.bytes")
    await alter_settings(admin, dlq, {"max.message.bytes": "1000"})
    await seen(worker, "calls_applied", 300)
    await seen(worker, "calls_dead_lettered", 100)
    await worker.ready()
    await arrived(cluster, list(range(0, 400, 4)))


@pytest.mark.parametrize(
    ("data", "whole"), [(b"x" * 1_000, True), (b"\x01" * 200_000, False), (b"\xff" * 800_000, False)]
)
def test_a_body_that_no_usual_topic_takes_is_left_out(data: bytes, whole: bool) -> None:
    message = dead_letter("calls/0", Logged(1, 2, data), BadCall(Code.NOT_JSON, "no"), body=True)
    assert len(message.value or b"") <= LIMIT
    found = msgspec.json.decode(message.value or b"")
    assert ("body" in found or "body_base64" in found) is whole
    assert found["size"] == len(data)
