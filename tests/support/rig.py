"""Counting workers on a real broker, and what they ought to have counted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from llmvitals.record.log import Topic
from llmvitals.runtime.kafka.checkpoint import CheckpointStore
from llmvitals.runtime.kafka.producer import Producer
from llmvitals.runtime.kafka.tail import Tail
from llmvitals.settings import Settings
from waiting import deadline, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTITIONS = 4
PYTHON_PATH = str(Path(__file__).parent)


class Worker:
    """One process of counting.py; its log is in a file."""

    def __init__(self, stage: str, env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, f"{PYTHON_PATH}/counting.py", stage], env=env, stdout=out, stderr=out
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    async def says(self, words: str) -> None:
        async def said() -> bool:
            return words in self.text()

        await eventually(said, what=lambda: f"{words!r} in the log:\n{self.text()[-3000:]}")

    async def ready(self) -> None:
        await self.says("Worker ready")

    async def ends(self, limit: float = 30) -> int:
        async def ended() -> bool:
            return self.process.poll() is not None

        await eventually(ended, limit, lambda: f"the end of the worker:\n{self.text()[-3000:]}")
        return int(self.process.returncode)

    async def stop(self) -> int:
        self.process.terminate()
        return await self.ends(20)


class Rig:
    """The topics of one test, its workers, and the truth."""

    def __init__(self, brokers: str, prefix: str, folder: Path) -> None:
        self.folder, self.workers = folder, list[Worker]()
        self.settings = Settings(
            brokers=brokers, topic_prefix=prefix, group=prefix, session_timeout="2s", checkpoint="200ms",
            flush="100ms", idle="1s", pane="1s",
        )  # fmt: skip
        self.truth: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self.calls = self.settings.topic("calls")

    async def __aenter__(self) -> Self:
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.brokers)
        await self.admin.start()
        self.producer = AIOKafkaProducer(bootstrap_servers=self.settings.brokers, linger_ms=5)
        await self.producer.start()
        await self.create(*map(str, Topic), "calls")
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait(deadline(10))
        await self.producer.stop()
        await self.admin.close()

    async def create(self, *names: str) -> None:
        # Compacted as soon as Kafka can: whatever depends on a record that compaction takes away, fails.
        compact = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
                   "delete.retention.ms": "100"}  # fmt: skip
        topics = [
            NewTopic(
                self.settings.topic(name), 2 if name == "checkpoints" else PARTITIONS, 1,
                topic_configs=compact if name in {"checkpoints", "incidents", "silences", "verdicts"} else {},
            )
            for name in names
        ]  # fmt: skip

        async def created() -> bool:
            answer = await self.admin.create_topics(topics)
            return all(error[1] == 0 for error in answer.topic_errors)

        await eventually(created, what=f"the topics {names}")

    async def delete(self, name: str) -> None:
        await self.admin.delete_topics([self.settings.topic(name)])

    def start(self, stage: str = "combine", **env: str) -> Worker:
        own = {
            f"LLMVITALS_{name.upper()}": str(getattr(self.settings, name))
            for name in (
                "brokers",
                "topic_prefix",
                "group",
                "session_timeout",
                "checkpoint",
                "flush",
                "idle",
                "pane",
            )
        }
        plain = {name: value for name, value in os.environ.items() if not name.startswith("LLMVITALS_")}
        log = self.folder / f"{stage}-{len(self.workers)}.log"
        worker = Worker(stage, {**plain, **own, **env}, log)
        self.workers.append(worker)
        return worker

    async def publish(self, count: int, partitions: Sequence[int] = range(PARTITIONS)) -> None:
        sent = []
        for number in range(count):
            partition = partitions[number % len(partitions)]
            sent.append(await self.producer.send(self.calls, b"%d" % number, partition=partition))
            self.truth[partition][0] += 1
            self.truth[partition][1] += number
        await self.producer.flush()
        await asyncio.gather(*sent)

    async def committed(self, stage: str = "combine") -> dict[TopicPartition, tuple[int, str]]:
        try:
            found = await self.admin.list_consumer_group_offsets(f"{self.settings.group}-{stage}")
        except KafkaError:
            return {}
        return {partition: (commit.offset, commit.metadata) for partition, commit in found.items()}

    async def ends(self, name: str) -> dict[TopicPartition, int]:
        topic = self.settings.topic(name)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.brokers)
        await consumer.start()
        try:
            return await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
        finally:
            await consumer.stop()

    async def caught_up(self, name: str = "calls", stage: str = "combine") -> None:
        """Wait until the group has committed the end of every partition."""
        ends = await self.ends(name)

        async def done() -> bool:
            commits = await self.committed(stage)
            return all(commits.get(partition, (0, ""))[0] >= end for partition, end in ends.items())

        def logs() -> str:
            return f"not all is committed of {ends}\n" + "\n".join(
                worker.text()[-2000:] for worker in self.workers
            )

        await eventually(done, what=logs)

    async def counted(self) -> dict[int, list[int]]:
        """Partition → [count, sum] in the newest checkpoint, as the next owner would find it."""
        group, producer = f"{self.settings.group}-combine", Producer(self.settings, "look")
        store = CheckpointStore(self.settings, group, producer, Tail(self.settings, "look"))
        await producer.start()
        await store.start()
        try:
            # Kafka forgets a group's offsets of a topic that is deleted, the checkpoints stay.
            none: dict[TopicPartition, Any] = {
                TopicPartition(self.calls, number): None for number in range(PARTITIONS)
            }
            loaded = await store.load(none | await self.committed(), 0, {})
        finally:
            await store.stop()
            await producer.stop()
        states = {
            one.partition: json.loads(saved.parts["manifest"])
            for one, (saved, _) in loaded.items()
            if saved.parts
        }
        return {
            partition: [state["count"], state["sum"]] for partition, state in states.items() if state["count"]
        }

    async def records(self, name: str) -> list[Any]:
        tail, topic = Tail(self.settings, "look"), self.settings.topic(name)
        await tail.start()
        try:
            starts = {TopicPartition(topic, number): 0 for number in range(PARTITIONS)}
            return [record async for records in tail.read(starts) for record in records]
        finally:
            await tail.stop()

    async def assert_exact(self) -> None:
        """Nothing is lost, nothing counted twice; and at one offset every worker sent the same frame."""
        await self.caught_up()
        assert await self.counted() == {
            partition: counts for partition, counts in self.truth.items() if counts[0]
        }
        frames: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
        for record in await self.records("partials"):
            if record.key != b"promise":
                partition, upto, count, total = json.loads(record.value)
                frames[partition, upto].add((count, total))
        assert [one for one in frames.items() if len(one[1]) > 1] == []
