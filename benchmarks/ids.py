"""Measures the cost of remembering ids for an hour: `python -m benchmarks.ids [BROKERS]`.

For 100, 1,000 and 10,000 calls a second on one partition: memory, what the checkpoint holds, how long a
restart takes to have it again, and the time per call, without and with response ids, and of copies that are
an hour late. BROKERS: the checkpoint is also written to a Kafka there and loaded from it (topic
`bench.checkpoints.v1`, which `LLMVITALS_TOPIC_PREFIX=bench llmvitals topics apply` makes).
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator

import numpy as np
from aiokafka import TopicPartition

from llmvitals.combine import state
from llmvitals.combine.clock import Clock
from llmvitals.combine.response_ids import ResponseReport
from llmvitals.combine.seen_ids import SeenIds
from llmvitals.combine.stage import SLICE
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.log import Snapshot
from llmvitals.runtime.kafka.checkpoint import CheckpointStore
from llmvitals.runtime.kafka.producer import Producer
from llmvitals.runtime.kafka.tail import Tail
from llmvitals.settings import Settings
from llmvitals.window import SECOND

PANE, HOUR, MOST = 10 * SECOND, 3_600 * SECOND, 10_000_000
START = 1_760_000_000 * SECOND


def names(rate: int, seconds: float) -> Iterator[tuple[list[str], np.ndarray]]:
    """Slices of ids as long as a UUID, and their times (µs)."""
    run = uuid.uuid4().hex[:20]
    for first in range(0, round(rate * seconds), SLICE):
        numbers = range(first, first + SLICE)
        yield [f"{run}{n:016d}" for n in numbers], START + np.array(numbers) * SECOND // rate


def fill(rate: int, *, with_responses: bool) -> tuple[SeenIds, Clock, list[str], float]:
    """Add a little more than an hour of calls. Returns the ids, the clock, the first ids and µs per call."""
    seen, clock, first, spent, calls = SeenIds(HOUR // PANE, MOST, PANE), Clock(PANE, PANE), [], 0.0, 0
    for ids, times in names(rate, 3_500):
        first = first or ids
        responses = [
            ResponseReport(f"chatcmpl-{name}", at - SECOND, at, 7) if with_responses else None
            for name, at in zip(ids, times.tolist(), strict=True)
        ]
        placed = clock.advance(times, times, np.arange(calls, calls + len(ids)))
        calls += len(ids)
        begun = time.process_time()
        seen.duplicates(ids, responses, [None] * len(ids), placed)
        seen.seal(clock.lowest_open(calls))
        seen.forget(clock.lowest_open(calls))
        spent += time.process_time() - begun
    return seen, clock, first, spent / calls * 1e6


def late(seen: SeenIds, clock: Clock, ids: list[str]) -> float:
    """µs per call for duplicates of the first calls."""
    times = np.full(len(ids), START)
    placed = clock.advance(times, times + HOUR, np.arange(10**9, 10**9 + len(ids)))
    begun = time.process_time()
    seen.duplicates(ids, [None] * len(ids), [None] * len(ids), placed)
    return (time.process_time() - begun) / len(ids) * 1e6


async def through_kafka(brokers: str, parts: dict[str, bytes]) -> tuple[float, float]:
    """Seconds to write the parts (in practice spread over an hour), and to load them."""
    settings = Settings(brokers=brokers, topic_prefix="bench")
    outbox = Producer(settings, "bench")
    store = CheckpointStore(settings, f"bench-{uuid.uuid4()}", outbox, Tail(settings, "bench"))
    here = TopicPartition("calls", 0)
    await outbox.start()
    await store.start()
    try:
        _, ledger = (await store.load({here: None}, 1, {}))[here]
        begun = time.monotonic()
        mark = await ledger.write(Snapshot(1, parts, lasting=True), 1)
        wrote = time.monotonic() - begun
        begun = time.monotonic()
        saved, _ = (await store.load({here: (1, str(mark))}, 2, {}))[here]
        if saved.parts.keys() != parts.keys():
            raise SystemExit("the checkpoint lost parts")
        return wrote, time.monotonic() - begun
    finally:
        await store.stop()
        await outbox.stop()


def row(rate: int, brokers: str | None, *, with_responses: bool) -> None:
    """Measure and print one rate."""
    seen, clock, first, each = fill(rate, with_responses=with_responses)
    manifest = state.Manifest(pane_us=PANE, disorder_us=PANE, offset=0, applied=0, floor=2**62)
    parts = manifest.hold_ids(seen.sealed) | {MANIFEST: manifest.encode()}
    held, size = sum(map(len, seen.sealed.values())), sum(map(len, parts.values()))
    begun = time.perf_counter()
    state.ids(manifest, parts)
    again = time.perf_counter() - begun
    loaded = asyncio.run(through_kafka(brokers, parts)) if brokers else (0.0, 0.0)
    print(
        f"{rate:>6} calls/s{', response ids' if with_responses else '':14} {each:5.2f} µs a call, late"
        f" {late(seen, clock, first):6.2f}; horizon {len(seen.sealed) * PANE / 60 / SECOND:4.0f} min, "
        f"{held:>10,} ids, {size / 1e6:6.1f} MB; restart {again:.2f} s + Kafka {loaded[1]:.1f} s",
        flush=True,
    )


def main() -> None:
    """Measure all rates."""
    brokers = sys.argv[1] if len(sys.argv) > 1 else None
    for rate in (100, 1_000, 10_000):
        for with_responses in (False, True):
            row(rate, brokers, with_responses=with_responses)


if __name__ == "__main__":
    main()
