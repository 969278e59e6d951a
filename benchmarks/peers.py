"""The peers, each in a process of its own: `python -m benchmarks.peers NAME BROKERS TOPIC COUNT`.

A peer reads COUNT records of the topic and prints `read COUNT SECONDS`: from its first record to its last, by
its own clock. Several of them do not end by themselves, so the process ends as soon as that is printed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer
from benchmarks.bench import Figure, MeasureFailed, Measurement, Result
from benchmarks.calls import VIEWS
from benchmarks.workers import output

if TYPE_CHECKING:
    from benchmarks.bench import Bench

LIMIT: Final = 180
"""Seconds that a peer may take."""


class Count:
    """Counts records; at the last one it prints, and ends the process."""

    def __init__(self, goal: int) -> None:
        self.goal, self.seen, self.began = goal, 0, 0.0

    def add(self, records: int = 1) -> None:
        """Note that so many records were worked on."""
        self.began = self.began or time.perf_counter()
        self.seen += records
        if self.seen >= self.goal:
            # Some peers put their log where sys.stdout was.
            os.write(1, f"\nread {self.seen} {time.perf_counter() - self.began}\n".encode())
            os._exit(0)


def aiokafka(brokers: str, topic: str, count: Count, *, parse: bool = False) -> None:
    """The library that Faust and llmvitals read with, by getmany; parse: with json.loads."""

    async def read() -> None:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest")
        await consumer.start()
        while True:
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                if parse:
                    for record in records:
                        json.loads(record.value)
                count.add(len(records))

    asyncio.run(read())


def confluent(brokers: str, topic: str, count: Count) -> None:
    """librdkafka, in batches of up to 1,000."""
    import confluent_kafka  # noqa: PLC0415 - a peer may be missing

    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": brokers, "group.id": group(), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    while True:
        if records := consumer.consume(1_000, 1.0):
            count.add(len(records))


def faust(brokers: str, topic: str, count: Count) -> None:
    """Stock Faust: an agent that does nothing with raw bytes."""
    import faust as library  # noqa: PLC0415 - slow to import

    app = library.App(
        group(),
        broker=f"kafka://{brokers}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        datadir=tempfile.mkdtemp(),
    )

    @app.agent(app.topic(topic, value_serializer="raw"))
    async def empty(stream: library.StreamT) -> None:
        async for _ in stream:
            count.add()

    library.Worker(app, loglevel="ERROR").execute_from_commandline()


def faststream(brokers: str, topic: str, count: Count) -> None:
    """FastStream on aiokafka: a subscriber that does nothing with raw bytes."""
    from faststream import FastStream  # noqa: PLC0415 - a peer may be missing
    from faststream.kafka import KafkaBroker  # noqa: PLC0415

    broker = KafkaBroker(brokers)

    @broker.subscriber(topic, group_id=group(), auto_offset_reset="earliest")
    async def empty(_: bytes) -> None:
        count.add()

    asyncio.run(FastStream(broker).run())


def quixstreams(brokers: str, topic: str, count: Count) -> None:
    """Quix Streams: one tumbling window of 10 s, reduced to the number of calls and their tokens."""
    from quixstreams import Application  # noqa: PLC0415 - a peer may be missing

    app = Application(
        broker_address=brokers,
        consumer_group=group(),
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
    )

    def add(total: dict[str, int], call: dict[str, Any]) -> dict[str, int]:
        count.add()
        return {"calls": total["calls"] + 1, "tokens": total["tokens"] + call.get("input_tokens", 0)}

    frame = app.dataframe(app.topic(topic, value_deserializer="json"))
    window = frame.tumbling_window(timedelta(seconds=10))
    window.reduce(add, lambda call: add({"calls": 0, "tokens": 0}, call)).final()
    app.run()


def bytewax(brokers: str, topic: str, count: Count) -> None:
    """Bytewax: one tumbling window of 10 s, by app, folded into the number of calls."""
    import bytewax.operators as op  # noqa: PLC0415 - a peer may be missing
    from bytewax.connectors.kafka import operators as kafka  # noqa: PLC0415
    from bytewax.dataflow import Dataflow  # noqa: PLC0415
    from bytewax.operators import windowing as win  # noqa: PLC0415
    from bytewax.testing import TestingSink, cluster_main  # noqa: PLC0415

    flow = Dataflow("bench")
    records = kafka.input("calls", flow, brokers=[brokers], topics=[topic], batch_size=1_000)

    def parsed(record: Any) -> dict[str, Any]:
        call: dict[str, Any] = json.loads(record.value)
        count.add()
        return call

    calls = op.map("parse", records.oks, parsed)
    clock = win.EventClock(
        lambda call: datetime.fromtimestamp(call["ts"] / 1_000, UTC), timedelta(seconds=10)
    )
    windower = win.TumblingWindower(timedelta(seconds=10), datetime(2020, 1, 1, tzinfo=UTC))
    counts = win.count_window("count", calls, clock, windower, lambda call: str(call["app"]))
    op.output("out", counts.down, TestingSink([]))
    cluster_main(flow, [], 0)


def group() -> str:
    """A consumer group of its own."""
    return f"bench-{time.time_ns()}"


class Peer(NamedTuple):
    """A peer; module: the one that has to be there. share: one record in so many is read of a slow one."""

    read: Callable[[str, str, Count], None]
    module: str
    text: str
    share: int = 1


PEERS: Final[dict[str, Peer]] = {
    "aiokafka": Peer(aiokafka, "aiokafka", "bare aiokafka, getmany"),
    "aiokafka+json": Peer(
        lambda brokers, topic, count: aiokafka(brokers, topic, count, parse=True),
        "aiokafka",
        "with json.loads",
    ),
    "confluent-kafka": Peer(confluent, "confluent_kafka", "bare confluent-kafka (librdkafka)"),
    "faust": Peer(faust, "faust", "stock Faust, an empty agent", 10),
    "faststream": Peer(faststream, "faststream", "FastStream, an empty subscriber", 20),
    "quixstreams": Peer(quixstreams, "quixstreams", "Quix Streams, one window, one reduce", 20),
    "bytewax": Peer(bytewax, "bytewax", "Bytewax, json.loads, one window", 10),
}


def measure(bench: Bench) -> Iterator[Result]:
    """Calls a second of each peer."""
    wanted = {name: peer for name, peer in PEERS.items() if bench.wants(name)}
    if not wanted:
        return
    env = bench.env("views", views=VIEWS)
    place = [env["LLMVITALS_BROKERS"], f"{env['LLMVITALS_TOPIC_PREFIX']}.calls.v1"]
    for name, peer in wanted.items():
        bench.say(name)
        try:
            rate = measured([name, *place, str(max(bench.calls // peer.share, 1_000))], peer, bench.folder)
            yield Result(name, rate)
        except MeasureFailed as failure:
            yield Result(name, None, note=str(failure))


def measured(words: list[str], peer: Peer, folder: Path) -> float:
    """Calls a second of one peer. Raises MeasureFailed where it is not installed, or fails."""
    if importlib.util.find_spec(peer.module) is None:
        raise MeasureFailed("not installed: pip install 'llmvitals[peers]'")
    lines = output(["benchmarks.peers", *words], folder / "peer.log", LIMIT)
    for line in lines:
        if line.startswith("read "):
            _, records, seconds = line.split()
            return int(records) / float(seconds)
    raise MeasureFailed(f"failed: {(lines or ['it printed nothing'])[-1][:200]}")


MEASUREMENT: Final = Measurement(
    "peers",
    tuple(Figure(name, "calls", peer.text, beside="faust") for name, peer in PEERS.items()),
    measure,
)

if __name__ == "__main__":
    kind, where, what, many = sys.argv[1:]
    PEERS[kind].read(where, what, Count(int(many)))
