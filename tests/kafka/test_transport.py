from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from llmvitals.runtime.kafka.crash import POINTS
from rig import Rig
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.kafka


@pytest.fixture
async def rig(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(kafka, topic_prefix, tmp_path) as rig:
        yield rig


async def test_everything_is_counted_once_and_a_clean_stop_replays_nothing(rig: Rig) -> None:
    await rig.publish(20_000)
    worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0

    frames = len(await rig.records("partials"))
    worker = rig.start()
    await worker.ready()
    await rig.publish(4)
    await rig.assert_exact()
    assert len(await rig.records("partials")) <= frames + 4


async def test_a_second_worker_takes_its_share(rig: Rig) -> None:
    first = rig.start(COUNTING_SLOW="0.02")
    await first.ready()
    await rig.publish(8_000)
    second = rig.start(COUNTING_SLOW="0.02")
    await rig.publish(8_000)
    await second.says("Worker ready")
    await rig.publish(8_000)
    await rig.assert_exact()
    assert await first.stop() == 0
    await rig.publish(2_000)
    await rig.assert_exact()


async def test_sigterm_in_a_batch_saves_what_was_applied(rig: Rig) -> None:
    await rig.publish(40_000)
    worker = rig.start(COUNTING_SLOW="0.5")
    await worker.ready()
    await eventually(rig.committed)
    assert await worker.stop() == 0

    saved = await rig.counted()
    commits = await rig.committed()
    assert {one.partition: offset for one, (offset, _) in commits.items() if offset} == {
        partition: count for partition, (count, _) in saved.items()
    }
    rig.start()
    await rig.assert_exact()


async def test_kill_minus_nine_midstream(rig: Rig) -> None:
    worker = rig.start(COUNTING_SLOW="0.05")
    await worker.ready()
    await rig.publish(10_000)

    async def midstream() -> bool:
        return sum(offset for offset, _ in (await rig.committed()).values()) > 0

    await eventually(midstream)
    await rig.publish(10_000)
    worker.process.kill()
    assert await worker.ends() == -signal.SIGKILL
    rig.start()
    await rig.assert_exact()


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at(rig: Rig, point: str) -> None:
    await rig.publish(2_000)
    worker = rig.start(LLMVITALS_CRASH_AT=f"{point}:3")

    async def published_until_it_ended() -> bool:
        await rig.publish(40)
        return worker.process.poll() is not None

    await eventually(published_until_it_ended)
    assert await worker.ends() == -signal.SIGKILL
    await rig.publish(500)
    rig.start()
    await rig.assert_exact()


async def test_a_zombie_is_fenced(rig: Rig) -> None:
    zombie = rig.start(COUNTING_SLOW="0.02")
    await zombie.ready()
    await rig.publish(4_000)
    zombie.process.send_signal(signal.SIGSTOP)
    await rig.publish(4_000)
    successor = rig.start()
    await rig.assert_exact()
    zombie.process.send_signal(signal.SIGCONT)
    await rig.publish(4_000)
    await zombie.says("Revoking previously assigned partitions frozenset({")
    await rig.publish(4_000)
    await rig.assert_exact()
    assert await successor.stop() == 0
    await rig.publish(4_000)
    await rig.assert_exact()
    assert await zombie.stop() == 0


async def test_static_membership_survives_a_restart(rig: Rig) -> None:
    worker = rig.start(LLMVITALS_INSTANCE="one")
    await worker.ready()
    await rig.publish(2_000)
    await rig.assert_exact()
    assert await worker.stop() == 0
    await rig.publish(2_000)
    worker = rig.start(LLMVITALS_INSTANCE="one")
    await rig.assert_exact()
    assert await worker.stop() == 0


async def test_a_missing_topic_is_named(rig: Rig) -> None:
    await rig.delete("partials")
    worker = rig.start()
    assert await worker.ends() == 1
    assert f"has no topic {rig.settings.topic('partials')}. `llmvitals topics apply`" in worker.text()


async def test_a_source_that_was_created_again_stops_the_worker(rig: Rig) -> None:
    await rig.publish(2_000)
    worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0
    await rig.delete("calls")
    await rig.create("calls")
    await rig.publish(4)
    worker = rig.start()
    assert await worker.ends() == 1
    assert "is another topic than the one that was read up to offset 500" in worker.text()


async def test_a_source_deleted_under_a_running_worker_stops_it_and_the_new_one_is_not_taken_for_it(
    rig: Rig,
) -> None:
    await rig.publish(2_000)
    worker = rig.start()
    await rig.assert_exact()
    await rig.delete("calls")
    await rig.create("calls")
    await rig.publish(4)
    assert await worker.ends(60) == 1
    ends = ("was deleted while it was read", "is another topic than", "but it was read up to 500")
    assert any(end in worker.text() for end in ends)
    worker = rig.start()
    assert await worker.ends() == 1
    assert "is another topic than the one that was read up to offset 500" in worker.text()


async def test_a_lost_checkpoint_stops_the_worker_and_says_the_way_out(rig: Rig) -> None:
    await rig.publish(2_000)
    worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0
    await rig.delete("checkpoints")
    await rig.create("checkpoints")
    worker = rig.start()
    assert await worker.ends() == 1
    assert "LLMVITALS_GROUP" in worker.text()
    worker = rig.start(LLMVITALS_GROUP=f"{rig.settings.group}2")
    await worker.ready()


async def test_what_retention_took_is_counted_and_the_rest_goes_on(rig: Rig) -> None:
    await rig.publish(2_000)
    worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0
    await rig.publish(400)
    await rig.admin.delete_records(
        {TopicPartition(rig.calls, number): RecordsToDelete(before_offset=550) for number in range(4)}
    )
    worker = rig.start()
    await rig.caught_up()
    assert "50 records" in worker.text()
    assert {partition: count for partition, (count, _) in (await rig.counted()).items()} == dict.fromkeys(
        range(4), 550
    )


async def test_retention_may_overtake_a_running_worker(rig: Rig) -> None:
    worker = rig.start(LLMVITALS_SESSION_TIMEOUT="20s")
    await rig.publish(2_000)
    await rig.assert_exact()
    worker.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.5)  # the fetch that is waiting on the broker comes back empty
    await rig.publish(400)
    await rig.admin.delete_records(
        {TopicPartition(rig.calls, number): RecordsToDelete(before_offset=550) for number in range(4)}
    )
    worker.process.send_signal(signal.SIGCONT)
    await rig.caught_up()
    assert {partition: count for partition, (count, _) in (await rig.counted()).items()} == dict.fromkeys(
        range(4), 550
    )
    assert worker.text().count("50 records") == 4
    assert await worker.stop() == 0


async def test_a_new_owner_writes_a_checkpoint_before_it_reads(rig: Rig) -> None:
    worker = rig.start(LLMVITALS_CHECKPOINT="1h", LLMVITALS_FLUSH="1h")
    await worker.ready()
    assert len(await rig.committed()) == 4
    assert await rig.counted() == {}


async def test_holes_of_transactions_are_accepted(rig: Rig) -> None:
    worker = rig.start()
    await worker.ready()
    producer = AIOKafkaProducer(bootstrap_servers=rig.settings.brokers, transactional_id=rig.settings.group)
    try:
        await producer.start()
        for transaction in range(6):
            await producer.begin_transaction()
            for number in range(10):
                await producer.send(rig.calls, b"%d" % number, partition=0)
            if transaction % 2:
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
    finally:
        await producer.stop()
    rig.truth[0] = [30, 135]
    await rig.assert_exact()
    await rig.publish(100)
    await rig.assert_exact()


@pytest.mark.parametrize(
    ("env", "value", "reason"),
    [({}, b"bug", "a bug in the stage"), ({"COUNTING_LARGE": "1"}, b"0", "larger")],
)
async def test_a_failure_ends_the_worker_and_commits_nothing_past_it(
    rig: Rig, env: dict[str, str], value: bytes, reason: str
) -> None:
    worker = rig.start(**env)
    await worker.ready()
    await rig.producer.send_and_wait(rig.calls, b"1", partition=0)
    first = TopicPartition(rig.calls, 0)

    async def committed() -> bool:
        return (await rig.committed()).get(first, (0, ""))[0] == 1

    await eventually(committed)
    await rig.producer.send_and_wait(rig.calls, value, partition=0)
    await rig.producer.send_and_wait(rig.calls, b"1", partition=0)
    assert await worker.ends() == 1
    assert reason in worker.text()
    assert (await rig.committed())[first][0] == 1


async def test_an_idle_partition_promises_and_the_promise_is_committed_first(rig: Rig) -> None:
    rig.start(COUNTING_PROMISES="1")
    await rig.publish(4_000, [0])

    async def promises() -> set[int]:
        found = [
            json.loads(record.value) for record in await rig.records("partials") if record.key == b"promise"
        ]
        return {partition for partition, time in found if time >= 3_999}

    async def all_promised() -> bool:
        return await promises() == {0, 1, 2, 3}

    await eventually(all_promised)
    await rig.assert_exact()


async def test_sinks_go_on_while_another_is_down(rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "out"
    (tmp_path / "out.write.down").touch()
    incidents, vitals, alerts = (rig.settings.topic(name) for name in ("incidents", "vitals", "alerts"))
    for key, value in [(b"a", b"old"), (b"a", b"new"), (b"b", b"other"), (b"b", None)]:
        await rig.producer.send_and_wait(incidents, value, key=key, partition=0)
    for number in range(20):
        await rig.producer.send_and_wait(vitals, b"v%d" % number, partition=number % 4)
        await rig.producer.send_and_wait(alerts, b"a%d" % number, key=b"k%d" % number, partition=0)
    worker = rig.start("sink", SINK_FILE=str(file))
    await rig.caught_up("alerts", "sink")
    assert (tmp_path / "out.notify").read_text().split() == [
        "history",
        "new",
        *(f"a{number}" for number in range(20)),
    ]
    assert {record.value for record in await rig.records("incidents")} >= {
        b"a%d" % number for number in range(20)
    }
    assert not (tmp_path / "out.write").exists()
    assert (
        sum(offset for one, (offset, _) in (await rig.committed("sink")).items() if one.topic == vitals) == 0
    )
    await worker.says("vitals: it is down. Trying again in")

    (tmp_path / "out.write.down").unlink()
    await rig.caught_up("vitals", "sink")
    assert sorted((tmp_path / "out.write").read_text().split()) == sorted(
        f"v{number}" for number in range(20)
    )

    await rig.producer.send_and_wait(vitals, b"refused", partition=0)
    assert await worker.ends() == 1
    assert "it says no" in worker.text()
