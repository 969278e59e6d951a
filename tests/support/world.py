"""A small Kafka in which everything goes wrong: the real combine and merge, crashes, zombies and lost sendings.

`../shared/prototype/model.py` with the real stages in it. A `World` knows what may happen; who decides what
does is a test (Hypothesis, or a seed).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np

import sent_frames
from frames import Place, first_open, stored
from llmvitals import combine, merge
from llmvitals.errors import BadCall, Code
from llmvitals.price.cost import Reason
from llmvitals.record.call import Call
from llmvitals.record.frame import LateEntry
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.point import Point
from llmvitals.record.series import shard_of
from llmvitals.record.view import View
from llmvitals.sketch import quantiles
from pricing import one_by_one

SECOND = 1_000_000
PANE, DISORDER, FUTURE = 10 * SECOND, 7 * SECOND, 60 * SECOND
REMEMBERED, IDS = 12, 60
"""Panes whose ids are remembered after they closed, and how many ids of them at most."""
START = 1_700_006_400 * SECOND - 100 * SECOND  # shortly before a midnight, so that every window ends once
SHARDS, BUCKETS, ROUNDS = 2, 6, 3
NEVER = -(10**18)
VIEWS = (View("all", eager=True), View("app", ("app",), eager=True))
WINDOWS = {"10s": 10, "1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}


class Found(NamedTuple):
    calls: list[Call]
    filtered: int = 0
    refused: tuple[BadCall, ...] = ()
    unread: Mapping[str, int] = {}


def decode(value: bytes, _: int) -> Found:
    try:
        return Found([msgspec.json.decode(value, type=Call)])
    except msgspec.DecodeError as error:
        raise BadCall(Code.INVALID, "no call") from error


COMBINE = combine.CombinePlan(
    decode=decode,
    assess=one_by_one(
        lambda call: ((call.input_tokens or 0) * 3, Reason.GIVEN, (call.input_tokens or 0) * 3)
    ),
    views=VIEWS,
    shards=SHARDS,
    pane_us=PANE,
    disorder_us=DISORDER,
    future_us=FUTURE,
    dedupe_us=REMEMBERED * PANE,
    max_ids=IDS,
)
MERGE = merge.MergePlan(PANE, {view.name: view for view in VIEWS}, buckets=BUCKETS, rounds=ROUNDS)


class Event(NamedTuple):
    """What a producer sent. kafka, time: µs; app "" is poison; answer: the response id, by whom it is told."""

    kafka: int
    time: int
    id: str
    app: str
    tokens: int
    answer: str
    by: str = "one"

    def record(self, offset: int) -> Logged:
        call = {"id": self.id, "ts": self.time // 1_000, "model": "m", "app": self.app}
        call |= {"input_tokens": self.tokens, "output_tokens": 1, "latency_ms": self.latency_ms}
        call |= {"response_id": self.answer, "instrumentor": self.by}
        return Logged(offset, self.kafka // 1_000, json.dumps(call).encode() if self.app else b"\xff")

    @property
    def latency_ms(self) -> float:
        return self.tokens * 4 + 0.5

    @property
    def refused(self) -> bool:
        return not self.app or self.time - self.kafka > FUTURE


class Died(Exception):
    """The process is gone."""


@dataclass
class Worker:
    """A stage and its sendings that nobody has acknowledged: the stage's mark, and whether Kafka has it all."""

    stage: combine.Combine
    sendings: deque[tuple[int, bool]] = field(default_factory=deque)


@dataclass
class Partition:
    """One partition of the calls, and what is written down about it.

    start: Kafka's time when it was created, µs. known: how many partitions its worker believes there are.
    """

    name: str
    start: int = START
    known: int = 0
    events: list[Event] = field(default_factory=list)
    saved: dict[str, bytes] = field(default_factory=dict)
    promises: list[tuple[int, int]] = field(default_factory=list)
    worker: Worker = field(init=False)
    zombies: list[tuple[Worker, int]] = field(default_factory=list)
    """Each with how many promises it can know of."""


@dataclass
class Shard:
    """One partition of the partials, its merge, and what is written down of it."""

    number: int
    log: list[Logged] = field(default_factory=list)
    saved: dict[str, bytes] = field(default_factory=dict)
    points: dict[Place, Point] = field(default_factory=dict)
    unsent: list[Message] = field(default_factory=list)
    work: Iterator[list[Message]] = field(default_factory=lambda: iter(()))
    """What it is in the middle of."""
    stage: merge.Merge = field(init=False)


class World:
    """combine: one worker a partition; merge: one a shard; a sink that lets the greater `upto` win."""

    def __init__(self, partitions: int) -> None:
        self.partitions = [Partition(f"calls/{number}", known=partitions) for number in range(partitions)]
        self.shards = [Shard(number) for number in range(SHARDS)]
        for partition in self.partitions:
            self.restart(partition)
        for shard in self.shards:
            self.restart_merge(shard)
        self.happened: Counter[str] = Counter()

    # Producers

    def produce(self, partition: Partition, gap: int, lag: int, app: str) -> None:
        """A call `gap` µs after the one before, whose time is `lag` µs before Kafka's (or after, below 0)."""
        events = partition.events
        kafka = (events[-1].kafka if events else partition.start) + gap
        number = len(events)
        name = f"{partition.name} {number}"
        # A mock server may give every third answer the same id.
        answer = name if number % 3 else "mock"
        events.append(Event(kafka, kafka - lag, name, app, 1 + number * 37 % 5_000, answer))

    def produce_again(self, partition: Partition, back: int) -> None:
        """A producer that retries."""
        if partition.events:
            events = partition.events
            events.append(events[-1 - back % len(events)]._replace(kafka=events[-1].kafka))

    def grow(self, start: int, known: int) -> None:
        """One more partition, read by a worker that believes there are `known`; the others don't know of it."""
        partition = Partition(f"calls/{len(self.partitions)}", start, known)
        self.partitions.append(partition)
        self.restart(partition)
        self.happened["growth"] += 1

    def discover(self, partition: Partition) -> None:
        """Its worker is replaced by one that knows of all partitions."""
        partition.known = len(self.partitions)
        self.restart(partition)

    def produce_twin(self, partition: Partition, back: int, lag: int) -> None:
        """Another instrumentor tells of a call, which ended a little later for it."""
        if partition.events:
            events = partition.events
            first = events[-1 - back % len(events)]
            name = f"{partition.name} {len(events)}"
            events.append(first._replace(kafka=events[-1].kafka, time=first.time + lag, id=name, by="two"))

    # Combine

    def restart(self, partition: Partition) -> None:
        partition.worker = Worker(
            combine.Combine(
                COMBINE,
                source=partition.name,
                sources={"calls": partition.known},
                parts=dict(partition.saved),
                beginning=0,
            )
        )

    def crash(self, partition: Partition, *, pause: bool = False) -> None:
        """It dies, or it is paused and replaced while it believes that it lives."""
        self.happened["zombie" if pause else "crash"] += 1
        if pause:
            partition.zombies.append((partition.worker, len(partition.promises)))
        self.restart(partition)

    def give(self, worker: Worker, messages: list[Message], reach: float = 1) -> None:
        """Send. Of a share that does not reach Kafka the worker hears later; what it sends then may arrive."""
        arrived = messages[: round(len(messages) * reach)]
        for message in arrived:
            if message.topic is Topic.PARTIALS:
                log = self.shards[message.partition or 0].log
                log.append(Logged(len(log), 0, message.value))
        if messages:
            worker.sendings.append((worker.stage.mark(), len(arrived) == len(messages)))

    def take(self, partition: Partition, worker: Worker, count: int, reach: float = 1) -> None:
        """Read on and send what comes of it."""
        first = worker.stage.next
        records = [event.record(first + n) for n, event in enumerate(partition.events[first : first + count])]
        self.give(worker, worker.stage.apply(records), reach)

    def acknowledge(self, worker: Worker) -> None:
        """Kafka says what became of the oldest sending; a lost one is the end of the worker."""
        if worker.sendings:
            mark, arrived = worker.sendings.popleft()
            if not arrived:
                raise Died
            worker.stage.delivered(mark)

    def checkpoint(self, partition: Partition, *, dies: bool = False) -> None:
        """Wait for every delivery, then write; or die between."""
        snapshot = partition.worker.stage.snapshot()
        while partition.worker.sendings:
            self.acknowledge(partition.worker)
        if dies:
            raise Died
        partition.saved = {**partition.saved, **snapshot.parts}
        self.happened["checkpoint"] += 1

    def promise(self, partition: Partition, ahead: int, *, dies: bool = False) -> None:
        """Read to the end and idle: promise that nothing older comes, write it down, only then act on it."""
        stage = partition.worker.stage
        self.take(partition, partition.worker, len(partition.events))
        if stage.replaying or not partition.events:
            return
        floor = max(stage.watermark, START) + ahead
        stage.promise(floor)
        self.write_down(partition)
        partition.promises.append((stage.next, floor // PANE))
        self.happened["promise"] += 1
        if dies:
            raise Died
        self.give(partition.worker, stage.flush())

    def write_down(self, partition: Partition) -> None:
        """What the promise is worth: without it a restart would not know."""
        self.checkpoint(partition)

    def zombie(self, partition: Partition, which: int, count: int, *, acknowledged: bool) -> None:
        """One wakes, reads a little, sends, and is told that it is none of the group any more.

        It reads no further than the first promise that its successor made: the group's generation is looked
        at before every batch, and a promise is made after a whole session timeout.
        """
        if not partition.zombies:
            return
        worker, known = partition.zombies[which % len(partition.zombies)]
        unknown = [at for at, _ in partition.promises[known:]]
        count = max(0, min(count, min(unknown, default=len(partition.events)) - worker.stage.next))
        self.take(partition, worker, count)
        self.give(worker, worker.stage.flush())
        self.happened["zombie spoke"] += 1
        if acknowledged and worker.sendings and worker.sendings[0][1]:
            self.acknowledge(worker)

    # Merge

    def restart_merge(self, shard: Shard) -> None:
        shard.unsent, shard.work = [], iter(())
        shard.stage = merge.Merge(MERGE, shard=shard.number, parts=dict(shard.saved), beginning=0)

    def merge(self, shard: Shard, count: int, pieces: int | None = None) -> None:
        """Take frames, or go on with those taken; what comes of them is on its way.

        pieces: so many of the work's pieces at most; then it may be interrupted, even within a frame.
        """
        for done, messages in enumerate(shard.work, 1):
            shard.unsent += messages
            if done == pieces:
                self.happened["torn frame"] += bool(shard.stage._checkpoints.unfinished)
                self.happened["half a frame"] += bool(shard.stage._checkpoints.ahead)
                return
        first = shard.stage.next
        shard.work = shard.stage.pieces(shard.log[first : first + count])
        if pieces is None:
            shard.unsent += chain.from_iterable(shard.work)

    def write(self, shard: Shard, share: float = 1) -> None:
        """A share of the points on their way arrives."""
        arrived = round(len(shard.unsent) * share)
        stored(shard.unsent[:arrived], shard.points)
        shard.unsent = shard.unsent[arrived:]

    def checkpoint_merge(self, shard: Shard, parts: float = 1) -> None:
        """All points arrive, then the buckets are written; with parts below 1 it dies before the manifest."""
        snapshot = shard.stage.snapshot()
        self.write(shard)
        shard.saved |= dict(
            list(snapshot.parts.items())[: None if parts >= 1 else int(len(snapshot.parts) * parts)]
        )
        self.happened["fuzzy checkpoint"] += 1
        if parts < 1:
            self.crash_merge(shard)

    def crash_merge(self, shard: Shard) -> None:
        self.happened["merge crash"] += 1
        self.restart_merge(shard)

    # The end

    def finish(self) -> None:
        """Everything is read by workers that know of all partitions; every partition ends."""
        for partition in self.partitions:
            if partition.known < len(self.partitions):
                self.discover(partition)
        for partition in self.partitions:
            worker = partition.worker
            self.take(partition, worker, len(partition.events))
            try:
                while worker.sendings:
                    self.acknowledge(worker)
            except Died:
                self.restart(partition)
                self.take(partition, partition.worker, len(partition.events))
                partition.worker.sendings.clear()
            self.give(partition.worker, partition.worker.stage.finish())
        for shard in self.shards:
            self.merge(shard, len(shard.log))
            self.write(shard)

    def check(self) -> None:
        """Every window is what brute force says, and every record has one fate."""
        self.check_frames()
        want = self.expected()
        got = {place: point for shard in self.shards for place, point in shard.points.items()}
        assert set(got) == set(want)
        for where, point in got.items():
            assert {name: point.counts[name] for name in want[where].counts} == want[where].counts, where
            assert {name: point.measures.get(name) for name in want[where].measures} == want[
                where
            ].measures, where
        for partition in self.partitions:
            counters = partition.worker.stage.counters
            fates = ("applied", "duplicate", "dead_lettered", "filtered")
            assert counters["in"] == sum(counters[fate] for fate in fates) == len(partition.events)
            assert counters["dead_lettered"] == sum(event.refused for event in partition.events)

    def check_frames(self) -> None:
        """At one version every worker, zombies too, has said the same."""
        said: dict[object, object] = {}
        for record in (record for shard in self.shards for record in shard.log):
            frame = sent_frames.read(record.value)
            for entry in (*frame.entries, *frame.late):
                quarter = entry.quarter if isinstance(entry, LateEntry) else None
                what = frame.source, frame.version, entry.view, entry.series, entry.pane, quarter
                assert said.setdefault(what, entry.vitals) == entry.vitals, what

    def expected(self) -> dict[Place, Expected]:
        """What must come out: every call once, in the pane that its log and the promises decide.

        If that one had closed in a shard before it heard of the partition, it is the oldest pane open then.
        """
        sums: dict[Place, Counter[str]] = defaultdict(Counter)
        latencies: dict[Place, list[float]] = defaultdict(list)
        joined = [first_open(sent_frames.read(record.value) for record in shard.log) for shard in self.shards]
        for number, partition in enumerate(self.partitions):
            for own, late_there, copy, event in placed(partition):
                for view, series in (("all", ()), ("app", (event.app,))):
                    first = joined[shard_of(view, series, SHARDS)][number]
                    pane, late = max(own, first), late_there or own < first
                    self.happened["late by growth"] += own < first
                    for where in places(pane, view, series):
                        sums[where].update(
                            {"duplicates": 1}
                            if copy
                            else {
                                "calls": 1,
                                "late_calls": late,
                                "input_tokens": event.tokens,
                                "cost_nano": event.tokens * 3,
                            }
                        )
                        if not copy:
                            latencies[where].append(event.latency_ms)
        return {where: Expected.of(sums[where], latencies[where]) for where in sums}


class Expected(NamedTuple):
    counts: dict[str, int]
    measures: dict[str, float]

    @classmethod
    def of(cls, sums: Counter[str], latencies: list[float]) -> Expected:
        names = ("calls", "late_calls", "duplicates", "input_tokens", "cost_nano")
        counts = {name: sums[name] for name in names}
        if not latencies:
            return cls(counts, {})
        keys, bins = np.unique(quantiles.bin_keys("latency_ms", np.array(latencies)), return_counts=True)
        p95 = quantiles.quantile((keys.astype(np.uint16), bins.astype(np.int64)), "latency_ms", 0.95)
        assert p95 is not None
        return cls(counts, {"latency_ms_p95": min(p95, max(latencies)), "latency_ms_max": max(latencies)})


def placed(partition: Partition):
    """pane, whether late, whether a copy, event: for each call, by the rules of DESIGN.md and nothing else."""
    watermark, seen = NEVER, Ids()
    for offset, event in enumerate(partition.events):
        if event.refused:
            continue
        promised = [floor for at, floor in partition.promises if at <= offset]
        low = max(watermark // PANE, *promised, NEVER)
        pane = max(event.time // PANE, low)
        yield pane, pane > event.time // PANE, seen.copy(pane, low, event), event
        watermark = max(watermark, min(event.time, event.kafka) - DISORDER)


@dataclass
class Ids:
    """What is known of calls, the naive way: every pane's ids, and of the counted calls their answers."""

    ids: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    counted: dict[int, dict[str, list[Event]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def copy(self, pane: int, low: int, event: Event) -> bool:
        oldest = self.oldest(low)
        first = max(oldest, event.time // PANE)
        known = any(event.id in ids for number, ids in self.ids.items() if first <= number <= pane)
        self.ids[pane].add(event.id)
        told = [
            other
            for number, answers in self.counted.items()
            if number >= oldest
            for other in answers[event.answer]
        ]
        if known or any(twins(event, other) for other in told):
            return True
        mine = self.counted[pane][event.answer]
        mine.append(event)
        del mine[:-8]
        return False

    def oldest(self, low: int) -> int:
        held, oldest = 0, low - REMEMBERED
        for number in sorted((number for number in self.ids if oldest <= number < low), reverse=True):
            held += len(self.ids[number]) + sum(map(len, self.counted[number].values()))
            if held > IDS:
                return number + 1
        return oldest


def twins(one: Event, other: Event) -> bool:
    begun, before = (event.time - round(event.latency_ms * 1_000) for event in (one, other))
    return one.by != other.by and begun - other.time <= SECOND and before - one.time <= SECOND


def places(pane: int, view: str, series: tuple[str, ...]):
    for window, seconds in WINDOWS.items():
        start = (pane * 10 // seconds * seconds * SECOND - 1_700_006_400 * SECOND) // SECOND
        yield "llm_calls", view, window, start, tuple(("app", app) for app in series)
