from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from rig import Rig
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from llmvitals.local.kafka import LocalKafka

pytestmark = pytest.mark.kafka
IN_VAIN = 50
"""How often a worker asks for its coordinator before the broker comes back: for longer than its session lasts."""


@pytest.fixture
async def rig(kafka_server: LocalKafka, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(kafka_server.address, topic_prefix, tmp_path) as rig:
        yield rig


async def test_a_broker_that_is_down_at_the_start_is_waited_for(kafka_server: LocalKafka, rig: Rig) -> None:
    await rig.publish(400)
    await asyncio.to_thread(kafka_server.kill)
    patient, told = rig.start(), rig.start()
    for worker in (patient, told):
        await worker.says("can't be reached: ")
    assert "Trying again in 1 s" in patient.text()
    assert await told.stop() == 0
    await asyncio.to_thread(kafka_server.restart)
    await rig.assert_exact()
    assert await patient.stop() == 0


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_broker_that_is_away_for_a_while(kafka_server: LocalKafka, rig: Rig, how: str) -> None:
    worker = rig.start(COUNTING_SLOW="0.02")
    await worker.ready()
    await rig.publish(4_000)
    if how == "killed":
        await asyncio.to_thread(kafka_server.kill)

        async def asked_in_vain() -> bool:
            return worker.text().count("Group Coordinator Request failed") >= IN_VAIN

        await eventually(asked_in_vain)
        await asyncio.to_thread(kafka_server.restart)
    else:
        kafka_server.pause()
        await asyncio.sleep(8)
        kafka_server.resume()
    await rig.publish(4_000)

    async def gone_on_or_ended() -> bool:
        commits = await rig.committed()
        return sum(offset for offset, _ in commits.values()) == 8_000 or worker.process.poll() is not None

    # What was under way may be older than the producer's patience by then: that ends the worker, and says so.
    await eventually(gone_on_or_ended)
    if worker.process.poll() is not None:
        assert worker.process.returncode == 1
        assert re.search(
            r"combine stops: (Kafka did not acknowledge a record within 15 s|A record for \S+ can't be sent): ",
            worker.text(),
        )
        worker = rig.start()
    await rig.assert_exact()
    assert await worker.stop() == 0


async def test_a_broker_that_is_away_for_good_ends_the_worker(kafka_server: LocalKafka, rig: Rig) -> None:
    worker = rig.start(LLMVITALS_STALL="12s")
    await worker.ready()
    await rig.publish(4_000)

    async def begun() -> bool:
        return sum(offset for offset, _ in (await rig.committed()).values()) > 0

    await eventually(begun)
    await asyncio.to_thread(kafka_server.kill)
    assert await worker.ends(60) == 1
    assert "combine stops: " in worker.text()
    await asyncio.to_thread(kafka_server.restart)
    rig.start()
    await rig.assert_exact()
