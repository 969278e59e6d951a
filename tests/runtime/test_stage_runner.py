from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from llmvitals.errors import SourceRecreated
from llmvitals.record.chunk import Saved
from llmvitals.record.log import Logged, Message
from llmvitals.runtime.kafka.feed import Batch, Bounds
from stage_bench import HERE, THERE, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmvitals.record.log import Record


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_the_order_is_send_checkpoint_commit(bench: Bench) -> None:
    assert await bench.load() == {HERE: 0}
    await bench.take(0, 5)
    assert await bench.runner.save()
    assert bench.drain() == ["send frame 5", "checkpoint 5", "commit [5]"]
    assert bench.stages[0].acknowledged == 1


async def test_no_checkpoint_before_every_delivery(bench: Bench) -> None:
    bench.world.unacknowledged = waiting = []
    await bench.load()
    await bench.take(0, 5)
    saving = asyncio.ensure_future(bench.runner.save())
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.drain() == ["send frame 5"]
    assert bench.stages[0].acknowledged == 0
    waiting[0].set_result(None)
    assert await saving
    assert bench.drain() == ["checkpoint 5", "commit [5]"]


async def test_a_snapshot_does_not_wait_for_what_comes_after_it(bench: Bench) -> None:
    bench.world.unacknowledged = waiting = []
    await bench.load()
    await bench.take(0, 5)
    saving = asyncio.ensure_future(bench.runner.save())
    await asyncio.sleep(0)
    await bench.take(5, 9)
    waiting[0].set_result(None)
    assert await saving
    assert bench.drain() == ["send frame 5", "send frame 9", "checkpoint 5", "commit [5]"]


async def test_a_delivery_that_fails_saves_nothing(bench: Bench) -> None:
    bench.world.unacknowledged = waiting = []
    await bench.load()
    await bench.take(0, 5)
    waiting[0].set_exception(OSError("too large"))
    with pytest.raises(OSError, match="too large"):
        await bench.runner.save()
    assert bench.drain() == ["send frame 5"]


async def test_nothing_new_is_not_written_again(bench: Bench) -> None:
    await bench.load()
    await bench.runner.save()
    bench.drain()
    assert await bench.runner.save()
    assert bench.drain() == []


async def test_records_that_were_applied_are_skipped(bench: Bench) -> None:
    await bench.load()
    await bench.take(0, 5)
    await bench.take(3, 8)
    await bench.take(0, 8)
    assert bench.drain() == ["send frame 5", "send frame 8"]


async def test_a_jump_within_a_batch_or_between_batches_is_a_hole(bench: Bench) -> None:
    await bench.load()
    await bench.take(0, 5, skip=3)
    await bench.take(5, 9, skip=4)
    assert bench.stages[0].next == 9
    assert "offset_gaps" not in bench.meters.counts


async def test_a_batch_that_begins_too_late_is_refused_and_read_again(bench: Bench) -> None:
    await bench.load()
    await bench.take(0, 5)
    await bench.take(7, 9)
    assert bench.drain() == ["send frame 5", "seek 5"]
    assert bench.meters.counts["offset_gaps"] == 1
    await bench.take(5, 9)
    assert bench.drain() == ["send frame 9"]


async def test_batches_of_another_reading_are_dropped(bench: Bench) -> None:
    await bench.load()
    await bench.take(0, 5, stamp=0)
    bench.runner.forget()
    await bench.take(0, 5)
    assert bench.drain() == []


async def test_who_is_fenced_writes_nothing(bench: Bench) -> None:
    await bench.load()
    await bench.take(0, 5)
    bench.drain()
    bench.stages[0].promise(1)
    bench.world.held = False
    assert not await bench.runner.save(last=True)
    assert bench.drain() == []


async def test_after_the_last_save_nothing_is_taken(bench: Bench) -> None:
    await bench.load()
    await bench.take(0, 5)
    await bench.runner.save(last=True)
    bench.drain()
    await bench.take(5, 9)
    await bench.runner.tick()
    assert bench.drain() == []


async def test_while_one_batch_brings_much_about_others_have_their_turn(bench: Bench) -> None:
    """Between its pieces checkpoints are written, of what was applied before it; and it can be left off."""
    await bench.load()
    await bench.take(0, 5)
    bench.drain()
    stage = bench.stages[0]
    stage.slow = True
    taking = asyncio.create_task(bench.take(5, 1_000))
    while stage.steps < 3:  # noqa: ASYNC110 - what is called are plain functions
        await asyncio.sleep(0)
    (before,) = bench.runner.progress()
    assert await bench.runner.save()
    assert bench.drain() == ["checkpoint 5", "commit [5]"]
    (after,) = bench.runner.progress()
    assert before.next == after.next == 5
    assert before.pieces < after.pieces
    await bench.runner.save(last=True)
    await taking
    assert stage.steps < 50
    assert bench.runner.progress()[0].next == 5
    assert bench.drain() == []


async def test_a_stage_that_waits_leaves_the_loop_to_others(bench: Bench) -> None:
    """What it waits for comes from the loop: done on it, this would never end."""
    await bench.load()
    stage: Any = bench.stages[0]
    stage.waits, answered = True, threading.Event()
    pieces = stage.pieces

    def waiting(records: Sequence[Record]) -> Iterator[list[Message]]:
        assert answered.wait(10)
        yield from pieces(records)

    stage.pieces = waiting
    taking = asyncio.create_task(bench.take(0, 5))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(answered.set)
    await taking
    assert bench.runner.progress()[0].next == 5


async def test_a_restart_begins_at_the_checkpoint(bench: Bench) -> None:
    bench.world.saved[HERE] = Saved(epoch=1, at=7, offset=40, applied=60, parts={"manifest": b"40"})
    assert await bench.load() == {HERE: 40}


async def test_a_topic_that_ends_before_the_checkpoint_is_another_one(bench: Bench) -> None:
    bench.world.saved[HERE] = Saved(epoch=1, at=7, offset=40, applied=60, parts={"manifest": b"40"})
    bench.world.limits[HERE] = Bounds(0, 59)
    with pytest.raises(SourceRecreated, match="ends at offset 59, but it was read up to 60"):
        await bench.load()


async def test_what_retention_took_is_counted(bench: Bench) -> None:
    bench.world.saved[HERE] = Saved(epoch=1, at=7, offset=40, applied=60, parts={"manifest": b"40"})
    bench.world.limits[HERE] = Bounds(100, 1_000)
    assert await bench.load() == {HERE: 100}
    assert bench.meters.counts["events_lost_by_retention"] == 60
    await bench.runner.expired(HERE, Bounds(150, 1_000))
    assert bench.meters.counts["events_lost_by_retention"] == 110
    assert bench.drain() == ["seek 150"]


async def test_a_new_group_begins_at_the_beginning_and_has_lost_nothing(bench: Bench) -> None:
    bench.world.limits[HERE] = Bounds(100, 1_000)
    assert await bench.load() == {HERE: 100}
    assert "events_lost_by_retention" not in bench.meters.counts


async def test_an_idle_partition_promises_after_its_commit_once_per_pane(bench: Bench) -> None:
    await bench.load(HERE, THERE)
    await bench.take(0, 5)
    bench.world.end = 5
    bench.stages[1].next = 5
    await bench.runner.save()
    bench.drain()

    bench.world.now += 14
    await bench.runner.tick()
    assert bench.drain() == []
    bench.world.now += 1
    await bench.runner.tick()
    assert bench.drain() == [
        "checkpoint 5",
        "checkpoint 5",
        "commit [5, 5]",
        "send promise 19000000",
        "send promise 19000000",
    ]
    bench.world.now += 9
    await bench.runner.tick()
    assert bench.drain() == []
    bench.world.now += 1
    await bench.runner.tick()
    assert "send promise 29000000" in bench.drain()


async def test_without_any_record_a_promise_is_of_the_wall_clock(bench: Bench) -> None:
    await bench.load()
    bench.world.now += 15
    await bench.runner.tick()
    assert bench.stages[0].promises == [5_000_000_000 - 10_000_000]


async def test_records_that_say_nothing_of_event_time_are_silence(bench: Bench) -> None:
    """Filtered calls and dead letters alone must not hold the others up."""
    await bench.load()
    await bench.take(0, 5)
    for start in (5, 6, 7):
        bench.world.now += 5
        old = [Logged(start, 4_000_000, b"")]  # what leaves the watermark where it is
        await bench.runner.take(HERE, Batch(1, start, start + 1, old))
    bench.world.end = 8
    await bench.runner.tick()
    assert bench.stages[0].promises == [4_000_000 + 15_000_000]


async def test_a_silence_outlives_its_owners(bench: Bench) -> None:
    """However often the owner changes: what is promised is what a single owner would have promised."""
    await bench.load()
    await bench.take(0, 5)
    heard = bench.world.wall
    bench.world.end = 5
    for _ in range(3):
        bench.world.now += 600
        bench.world.wall += 600_000_000
        await bench.runner.save(last=True)
        assert bench.world.heard == heard
        bench.runner.forget()
        bench.world.now = 7.0  # another machine
        bench.world.saved[HERE] = Saved(1, 7, 0, 5, bench.world.heard, parts={"manifest": b"0"})
        await bench.load()
        await bench.runner.save()
        await bench.take(0, 5)  # the replay
    await bench.runner.tick()
    assert bench.stages[0].promises == []  # who has just come knows too little of what is in Kafka
    bench.world.now += 15
    bench.world.wall += 15_000_000
    await bench.runner.tick()
    assert bench.stages[0].promises == [4_000_000 + 1_815_000_000]


async def test_partitions_without_calls_do_not_put_the_clock_back(bench: Bench) -> None:
    heard = bench.world.wall - 600_000_000
    bench.world.saved[HERE] = Saved(1, 7, 0, 5, heard, parts={"manifest": b"0"})
    await bench.load(HERE, THERE)
    await bench.take(0, 5)
    bench.world.now += 15
    await bench.runner.tick()
    assert bench.stages[1].promises == [4_000_000 + 615_000_000]


async def test_after_new_calls_the_silence_begins_anew(bench: Bench) -> None:
    heard = bench.world.wall - 600_000_000
    bench.world.saved[HERE] = Saved(1, 7, 0, 5, heard, parts={"manifest": b"0"})
    await bench.load()
    await bench.take(0, 5)
    await bench.take(5, 9)
    bench.world.now += 15
    await bench.runner.tick()
    assert bench.stages[0].promises == [8_000_000 + 15_000_000]


@pytest.mark.parametrize("why", ["behind", "fenced", "heard"])
async def test_no_promise(bench: Bench, why: str) -> None:
    await bench.load()
    await bench.take(0, 5)
    bench.drain()
    bench.world.end = 6 if why == "behind" else 5
    bench.world.accepts = why != "fenced"
    bench.world.now += 15
    if why == "heard":
        await bench.take(5, 6)
        bench.drain()
    await bench.runner.tick()
    assert not [event for event in bench.drain() if event.startswith("send")]


async def test_what_a_stage_counts_is_told_once_and_at_the_latest_when_it_goes(bench: Bench) -> None:
    await bench.load(HERE, THERE)
    await bench.take(0, 12)
    await bench.take(0, 6, partition=THERE)
    await bench.runner.tick()
    await bench.runner.tick()
    assert bench.meters.counts == {"in": 18, "dead_letters not_json": 3}
    assert bench.meters.gauges == {
        ("watermark_delay_seconds", "0"): 5_000 - 11,
        ("watermark_delay_seconds", "1"): 5_000 - 5,
    }
    assert bench.meters.seconds["flush_seconds"] == [0.0, 0.0]
    await bench.take(12, 15)
    bench.runner.forget()
    assert bench.meters.counts == {"in": 21, "dead_letters not_json": 4}


async def test_what_a_stage_had_counted_before_a_restart_is_no_news(bench: Bench) -> None:
    bench.world.saved[HERE] = Saved(epoch=1, at=7, offset=40, applied=40, parts={"manifest": b"40"})
    await bench.load()
    await bench.runner.tick()
    assert bench.meters.counts == {}
    await bench.take(40, 45)
    await bench.runner.tick()
    assert bench.meters.counts == {"in": 5, "dead_letters not_json": 1}
