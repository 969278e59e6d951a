"""Sinks and the records for them: outages, and what /readyz and the watchdog are told meanwhile."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import TopicPartition

from llmvitals.errors import SinkError
from llmvitals.meters import Unmetered
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.runtime.kafka.feed import Batch, Bounds
from llmvitals.runtime.kafka.sink_runner import SinkRunner, patience
from llmvitals.runtime.kafka.watchdog import Patience
from llmvitals.settings import Settings
from llmvitals.stage import Sink, SinkBinding
from waiting import deadline, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from llmvitals.record.log import Record

VITALS, ALERTS = TopicPartition("llm.vitals.v1", 0), TopicPartition("llm.alerts.v1", 0)
SOON = 0.001


class End(Sink):
    """A sink: what it was given; `fails` are raised first, and it hangs while `open` is not set."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []
        self.seen: list[Sequence[Record]] = []
        self.fails: list[SinkError] = []
        self.open, self.busy = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.trouble: str | None = None

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        self.seen.append(records)
        self.busy.set()
        await self.open.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.given.append([record.offset for record in records])
        return []

    def health(self) -> str | None:
        return self.trouble


class Clerk(End):
    """A sink with all that one may have beside; `told` is what happened, in order.

    loses: the world in which its partition goes to somebody else in the middle of a tick.
    """

    ticks = True

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []
        self.sends: list[Message] = []
        self.loses: World | None = None

    async def start(self, history: Sequence[Record] | None) -> None:
        self.told.append(("start", [record.offset for record in history or ()]))

    def hear(self, records: Sequence[Record]) -> None:
        self.told.append(("hear", [record.offset for record in records]))

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        self.told.append("take")
        await super().take(partition, records)
        return [message for message in self.sends if message is MARK]

    async def tick(self) -> list[Message]:
        self.told.append("tick")
        if self.fails:
            raise self.fails.pop(0)
        if self.loses is not None:
            self.loses.held = False
        return self.sends

    async def rest(self) -> list[Message]:
        self.told.append("rest")
        return self.sends

    async def stop(self) -> None:
        self.told.append("stop")


class World:
    """The feed, the producer and the tail, as far as sinks need them; and what was said about readiness."""

    generation = stamp = 1

    def __init__(self) -> None:
        self.commits: dict[TopicPartition, int] = {}
        self.reasons: dict[str, str | None] = {}
        self.held = True
        self.oldest = 0
        self.seeks: list[tuple[TopicPartition, int]] = []
        self.sent: list[Message] = []
        self.topics: dict[str, list[Logged]] = {}
        self.written: list[Logged] = []
        self.marks: list[Logged] = []
        self.end = 1_000

    async def whole(self, topic: str) -> list[Logged]:
        return self.topics.get(topic, [])

    async def news(self, topic: str) -> list[Logged]:
        if topic == "llm.watermarks.v1":
            marks, self.marks = self.marks, []
            return marks
        assert topic == "llm.silences.v1"
        found, self.written = self.written, []
        return found

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ready(self, who: str, reason: str | None) -> None:
        self.reasons[who] = reason

    async def deliver(self, messages: Sequence[Message]) -> None:
        self.sent += messages

    def holds(self) -> bool:
        return self.held

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Any]:
        return dict.fromkeys(partitions)

    async def topic_ids(self) -> dict[str, str]:
        return {}

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        return dict.fromkeys(partitions, Bounds(self.oldest, self.end))

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        self.seeks.append((partition, offset))

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        self.commits |= {partition: offset for partition, (offset, _) in offsets.items() if offset}
        return True


class Bench:
    """A SinkRunner with a sink for points and one for alerts."""

    def __init__(self, alerts: End | None = None, points: End | None = None) -> None:
        self.world, self.points, self.alerts = World(), points or End(), alerts or End()
        world: Any = self.world
        names = {"history": Topic.INCIDENTS, "beside": Topic.SILENCES, "after": Topic.WATERMARKS}
        beside = names if alerts else {}
        bindings = [SinkBinding(Topic.VITALS, self.points), SinkBinding(Topic.ALERTS, self.alerts, **beside)]
        self.runner = SinkRunner(
            bindings, Settings(), tail=world, producer=world, meters=Unmetered(), ready=world.ready
        )
        self.tasks: list[asyncio.Task[None]] = []

    async def load(self, *partitions: TopicPartition) -> None:
        world: Any = self.world
        await self.runner.load(world, partitions or (VITALS, ALERTS))

    def give(self, partition: TopicPartition, *offsets: int) -> asyncio.Task[None]:
        batch = Batch(1, offsets[0], offsets[-1] + 1, [Logged(offset, 0, b"") for offset in offsets])
        task = asyncio.create_task(self.runner.take(partition, batch))
        self.tasks.append(task)
        return task

    async def tick(self) -> None:
        for clock in self.runner.clocks():
            await clock.call()

    def stalled(self) -> set[TopicPartition]:
        """For which the watchdog would end the worker after a long while of this."""
        found = set()
        for one in self.runner.progress():
            watch, ends = Patience(1), {one.partition: 1_000}
            if [watch.look(now, [one], ends) for now in (0, 1_000)][-1]:
                found.add(one.partition)
        return found


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr("llmvitals.runtime.kafka.sink_runner._FIRST_WAIT", SOON)
    made = Bench()
    await made.load()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def until(fact: Callable[[], object]) -> None:
    await eventually(fact, 10, every=SOON)


def down(reason: str = "it is down", after: float | None = None) -> SinkError:
    return SinkError(reason, retry=True, retry_after=after)


def test_the_waits_are_the_backoff_or_what_is_asked_for_and_chance_spreads_them() -> None:
    asked = [None, 0.0, 7.0, 99_999_999.0]
    assert [patience(0.5, one, lambda: 0.0) for one in asked] == [0.5, 0.5, 7, 120]
    assert [patience(30, one, lambda: 0.0) for one in asked] == [30, 30, 30, 120]
    assert [patience(30, one, lambda: 1.0) for one in asked] == [15, 15, 15, 120]


async def test_the_waits_grow_to_30_s_while_nothing_is_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[tuple[float, float | None]] = []
    monkeypatch.setattr("llmvitals.runtime.kafka.sink_runner._FIRST_WAIT", 0.5)
    monkeypatch.setattr(
        "llmvitals.runtime.kafka.sink_runner.patience", lambda *given: waits.append(given) or 0.0
    )
    bench.points.fails = [down(), down(), down(after=5.0), *[down() for _ in range(6)]]
    await bench.give(VITALS, 0)
    assert [backoff for backoff, _ in waits] == [0.5, 1, 2, 2, 4, 8, 16, 30, 30]
    assert [asked for _, asked in waits if asked] == [5.0]


async def test_what_fails_is_given_again_the_same_object_and_its_offset_counts_only_then(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.points.fails = [down(), down(), down("the disk is full"), down("the disk is full")]
    await bench.give(VITALS, 0, 1)
    assert bench.points.given == [[0, 1]]
    assert len(bench.points.seen) == 5
    assert len({id(records) for records in bench.points.seen}) == 1
    await bench.runner.save()
    assert bench.world.commits == {VITALS: 2}
    said = [(record.levelname, record.message.partition(" Trying")[0]) for record in caplog.records]
    assert said == [
        ("WARNING", "vitals: it is down."),
        ("WARNING", "vitals: the disk is full."),
        ("INFO", "vitals: it works again"),
    ]


async def test_a_sink_that_is_down_is_not_ready_no_stall_and_holds_up_nobody(bench: Bench) -> None:
    bench.points.fails = [down(after=100.0)]
    bench.give(VITALS, 0)
    await until(lambda: bench.world.reasons.get("vitals"))
    assert bench.world.reasons["vitals"] == "it is down"
    assert VITALS not in bench.stalled()
    await bench.give(ALERTS, 0)
    await bench.tick()
    assert bench.alerts.given == [[0]]
    assert bench.world.reasons == {"vitals": "it is down", "alerts": None}
    await bench.runner.save()
    assert bench.world.commits == {ALERTS: 1}


async def test_a_sink_that_answers_slowly_is_no_stall_but_a_feed_that_gives_nothing_is(bench: Bench) -> None:
    bench.alerts.trouble = "Slack, channel #gone: channel_not_found"
    assert bench.stalled() == {VITALS, ALERTS}
    bench.points.open.clear()
    bench.give(VITALS, 0)
    await bench.points.busy.wait()
    assert bench.stalled() == {ALERTS}


async def test_trouble_that_fails_no_call_is_told_until_it_is_over(bench: Bench) -> None:
    """Such as a channel that is gone: its alerts went to the default one."""
    bench.alerts.trouble = "Slack, channel #gone: channel_not_found"
    await bench.tick()
    assert bench.world.reasons["alerts"] == bench.alerts.trouble
    bench.alerts.trouble = None
    await bench.tick()
    assert bench.world.reasons["alerts"] is None


async def test_partitions_that_leave_wait_for_no_outage_and_take_their_reason_along(bench: Bench) -> None:
    bench.points.fails = [down(after=100.0)] * 2
    bench.alerts.trouble = "Slack, channel #gone: channel_not_found"
    task = bench.give(VITALS, 0)
    await until(lambda: bench.world.reasons.get("vitals"))
    await bench.tick()
    async with asyncio.timeout(deadline(3)):
        await bench.runner.save(last=True)
        await task
    bench.runner.forget()
    await bench.tick()
    assert bench.world.commits == {}
    assert bench.world.reasons == {"vitals": None, "alerts": None}
    await bench.load(VITALS)
    bench.points.fails.clear()
    await bench.give(VITALS, 0)
    assert bench.points.given == [[0]]


async def test_what_must_not_be_tried_again_goes_up(bench: Bench) -> None:
    bench.points.fails = [SinkError("it says no", retry=False)]
    with pytest.raises(SinkError, match="it says no"):
        await bench.give(VITALS, 0)


# --- what a sink may have beside -----------------------------------------------------------------


ACT, MARK = Message(Topic.SILENCES, b"s", b""), Message(Topic.INCIDENTS, b"i", b"")


@pytest.fixture
async def clerk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Bench, Clerk]]:
    monkeypatch.setattr("llmvitals.runtime.kafka.sink_runner._FIRST_WAIT", SOON)
    sink = Clerk()
    made = Bench(sink)
    made.world.topics = {
        "llm.incidents.v1": [Logged(7, 0, b"")],
        "llm.silences.v1": [Logged(1, 0, b""), Logged(2, 0, b"")],
    }
    await made.load()
    yield made, sink
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_a_sink_knows_both_topics_whole_before_anything_and_hears_what_is_new(
    clerk: tuple[Bench, Clerk],
) -> None:
    bench, sink = clerk
    await bench.give(ALERTS, 0)
    bench.world.written = [Logged(3, 0, b"")]
    await bench.tick()
    await bench.tick()
    assert sink.told == [("start", [7]), ("hear", [1, 2]), "take", ("hear", [3]), "tick", "tick"]


async def test_what_comes_after_is_heard_once_all_that_lay_before_it_is_taken(
    clerk: tuple[Bench, Clerk],
) -> None:
    bench, sink = clerk
    await bench.give(ALERTS, 0, 1)
    sink.told.clear()
    bench.world.end, bench.world.marks = 5, [Logged(8, 0, b"")]
    await bench.tick()
    await bench.give(ALERTS, 2, 3)
    # What comes meanwhile waits for its own turn, and holds up nobody.
    bench.world.end, bench.world.marks = 9, [Logged(9, 0, b"")]
    await bench.tick()
    await bench.give(ALERTS, 4)
    await bench.tick()
    await bench.tick()
    await bench.give(ALERTS, 5, 6, 7, 8)
    await bench.tick()
    assert sink.told == [
        "tick", "take", "tick", "take", ("hear", [8]), "tick", "tick", "take", ("hear", [9]), "tick",
    ]  # fmt: skip


async def test_what_a_tick_gives_is_sent(clerk: tuple[Bench, Clerk]) -> None:
    bench, sink = clerk
    sink.sends = [MARK, ACT]
    await bench.tick()
    assert bench.world.sent == [MARK, ACT]


async def test_a_tick_that_fails_is_made_again_and_hears_nothing_twice(clerk: tuple[Bench, Clerk]) -> None:
    bench, sink = clerk
    await bench.tick()
    sink.told.clear()
    sink.fails, bench.world.written = [down(), down()], [Logged(3, 0, b"")]
    await bench.tick()
    assert sink.told == [("hear", [3]), "tick", "tick", "tick"]


async def test_of_a_generation_that_is_over_only_what_people_did_is_sent(clerk: tuple[Bench, Clerk]) -> None:
    """Marks of one that lost its partition would undo what its heir has written."""
    bench, sink = clerk
    sink.sends, bench.world.held = [MARK, ACT], False
    await bench.give(ALERTS, 0)
    assert bench.world.sent == []
    bench.world.held, sink.loses = True, bench.world
    await bench.tick()
    assert bench.world.sent == [ACT]


async def test_while_the_group_moves_on_nothing_is_told_that_could_not_be_marked(
    clerk: tuple[Bench, Clerk],
) -> None:
    bench, sink = clerk
    await bench.tick()
    sink.told.clear()
    bench.world.held, bench.world.written = False, [Logged(3, 0, b"")]
    await bench.tick()
    bench.world.held = True
    await bench.tick()
    assert sink.told == [("hear", [3]), "tick"]


async def test_a_sink_rests_once_when_its_partition_is_gone_and_starts_again_with_it(
    clerk: tuple[Bench, Clerk],
) -> None:
    bench, sink = clerk
    await bench.tick()
    sink.told.clear()
    sink.sends = [MARK, ACT]
    bench.runner.forget()
    await bench.load(VITALS)
    await bench.tick()
    await bench.tick()
    assert sink.told == ["rest"]
    assert bench.world.sent == [ACT]
    sink.sends = []
    bench.runner.forget()
    await bench.load()
    await bench.tick()
    assert sink.told == ["rest", ("start", [7]), ("hear", [1, 2]), "tick"]


async def test_the_end_lets_a_sink_rest_and_stops_it(clerk: tuple[Bench, Clerk]) -> None:
    bench, sink = clerk
    await bench.tick()
    sink.told.clear()
    await bench.runner.stop()
    assert sink.told == ["rest", "stop"]


async def test_a_tick_waits_for_its_turn_and_does_not_pile_up(clerk: tuple[Bench, Clerk]) -> None:
    bench, sink = clerk
    sink.open.clear()
    bench.give(ALERTS, 0)
    await sink.busy.wait()
    ticking = asyncio.create_task(bench.tick())
    await asyncio.sleep(0.01)
    assert "tick" not in sink.told
    sink.open.set()
    await ticking
    assert sink.told.count("tick") == 1


class Vault(End):
    """A sink whose store may lose what it had."""

    held = 0
    broken: SinkError | None = None

    async def needs(self, partition: int) -> int:
        if self.broken:
            raise self.broken
        return self.held

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        messages = await super().take(partition, records)
        self.held = records[-1].offset + 1
        return messages


@pytest.fixture
async def vault(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Bench, Vault]]:
    monkeypatch.setattr("llmvitals.runtime.kafka.sink_runner._FIRST_WAIT", 0.01)
    sink = Vault()
    bench = Bench(points=sink)
    await bench.load()
    yield bench, sink
    await bench.runner.save(last=True)
    await asyncio.gather(*bench.tasks)


async def test_what_a_store_has_lost_is_read_again(vault: tuple[Bench, Vault]) -> None:
    bench, sink = vault
    await bench.give(VITALS, 0, 1, 2)
    await bench.runner.save()
    assert (bench.world.commits[VITALS], bench.world.seeks) == (3, [])
    sink.held = 1
    await bench.give(VITALS, 3)  # is not taken: the store lacks what is before it
    assert bench.world.seeks == [(VITALS, 1)]
    await bench.runner.save()
    assert bench.world.commits[VITALS] == 1
    await bench.give(VITALS, 1, 2, 3)
    await bench.runner.save()
    assert bench.world.commits[VITALS] == 4
    assert sink.given == [[0, 1, 2], [1, 2, 3]]


async def test_a_loss_is_seen_while_nothing_comes_and_only_once(vault: tuple[Bench, Vault]) -> None:
    bench, sink = vault
    await bench.give(VITALS, 0, 1, 2)
    sink.held = 0
    for _ in range(3):
        await bench.tick()
    assert bench.world.seeks == [(VITALS, 0)]


async def test_what_retention_has_deleted_is_not_waited_for(vault: tuple[Bench, Vault]) -> None:
    bench, sink = vault
    await bench.give(VITALS, 0, 1, 2)
    sink.held, bench.world.oldest = 0, 2
    for _ in range(3):
        await bench.tick()
    assert bench.world.seeks == [(VITALS, 2)]
    await bench.give(VITALS, 2, 3)
    assert sink.held == 4


async def test_a_hole_in_the_log_is_no_loss(vault: tuple[Bench, Vault]) -> None:
    bench, _ = vault
    await bench.give(VITALS, 0, 1)
    await bench.runner.take(VITALS, Batch(1, 2, 9, []))
    await bench.tick()
    await bench.give(VITALS, 9)
    assert bench.world.seeks == []


async def test_a_store_that_can_not_be_looked_at_is_not_ready(vault: tuple[Bench, Vault]) -> None:
    bench, sink = vault
    await bench.give(VITALS, 0, 1)
    sink.broken = SinkError("its folder is gone", retry=True)
    look = asyncio.create_task(bench.tick())
    await until(lambda: bench.world.reasons.get("vitals") == "its folder is gone")
    sink.broken = None
    await look
    assert bench.world.reasons["vitals"] is None
