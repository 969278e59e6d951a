from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    IllegalGenerationError,
    IllegalStateError,
    OffsetMetadataTooLargeError,
    UnknownMemberIdError,
)

from llmvitals.runtime.kafka.membership import Membership
from waiting import deadline

HERE = TopicPartition("calls", 0)


class Coordinator:
    """Answers commits as it is told to, and notes under which generation they were sent."""

    def __init__(self) -> None:
        self.generation, self.member_id = 7, "me"
        self.answers: list[Exception | None] = []
        self.sent: list[int] = []
        self._commit_lock = asyncio.Lock()

    async def ensure_coordinator_known(self) -> None: ...

    async def _do_commit_offsets(self, assignment: None, offsets: Any) -> None:
        self.sent.append(self.generation)
        if self.answers and (answer := self.answers.pop(0)):
            raise answer


class Thread:
    stamp: int | None = None

    def __init__(self) -> None:
        self.coordinator, self.sought = Coordinator(), dict[TopicPartition, int]()
        self.positions: dict[TopicPartition, int] = {}
        self.rebalancing, self.assigned = False, {HERE}

    async def run(self, work: Any) -> Any:
        return await work

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(
            _coordinator=self.coordinator,
            _subscription=SimpleNamespace(reassignment_in_progress=self.rebalancing),
            assignment=lambda: self.assigned,
            seek=self.sought.__setitem__,
        )


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.fixture
def member(thread: Thread) -> Membership:
    return Membership(thread, 3, ("calls",))


async def test_a_commit_goes_out_under_the_generation_it_was_made_for(
    thread: Thread, member: Membership
) -> None:
    assert await member.commit({HERE: (5, "mark")})
    assert thread.coordinator.sent == [7]


@pytest.mark.parametrize(("generation", "name"), [(8, "me"), (7, "another"), (-1, ""), (-1, "me")])
async def test_nothing_is_sent_once_the_group_has_moved_on(
    thread: Thread, member: Membership, generation: int, name: str
) -> None:
    thread.coordinator.generation, thread.coordinator.member_id = generation, name
    assert not member.holds()
    assert not await member.commit({HERE: (5, "mark")})
    assert thread.coordinator.sent == []


@pytest.mark.parametrize("error", [UnknownMemberIdError, IllegalGenerationError])
async def test_the_broker_fences(thread: Thread, member: Membership, error: type[Exception]) -> None:
    thread.coordinator.answers = [error()]
    assert not await member.commit({HERE: (5, "mark")})


async def test_what_may_work_later_is_tried_again_but_under_no_later_generation(
    thread: Thread, member: Membership
) -> None:
    thread.coordinator.answers = [GroupCoordinatorNotAvailableError(), None]
    assert await member.commit({HERE: (5, "mark")})
    assert thread.coordinator.sent == [7, 7]

    thread.coordinator.answers = [GroupCoordinatorNotAvailableError(), None]
    commit = asyncio.ensure_future(member.commit({HERE: (6, "mark")}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    thread.coordinator.generation = 8
    assert not await commit
    assert thread.coordinator.sent == [7, 7, 7]


async def test_other_errors_go_up(thread: Thread, member: Membership) -> None:
    thread.coordinator.answers = [OffsetMetadataTooLargeError()]
    with pytest.raises(OffsetMetadataTooLargeError):
        await member.commit({HERE: (5, "mark")})


async def test_seeks_begin_a_stamp(thread: Thread, member: Membership) -> None:
    await member.begin({HERE: 5})
    assert (thread.stamp, thread.positions, thread.sought) == (3, {HERE: 5}, {HERE: 5})
    await member.seek(HERE, 4)
    assert thread.positions == {HERE: 4}
    thread.stamp = 4
    await member.seek(HERE, 1)
    assert (thread.positions, thread.sought) == ({HERE: 4}, {HERE: 4})


@pytest.mark.parametrize("why", ["generation", "rebalancing", "assignment"])
async def test_no_seek_when_rebalanced_again(thread: Thread, member: Membership, why: str) -> None:
    thread.coordinator.generation += why == "generation"
    thread.rebalancing = why == "rebalancing"
    thread.assigned = set() if why == "assignment" else {HERE}
    with pytest.raises(IllegalStateError):
        await member.begin({HERE: 5})
    assert (thread.stamp, thread.sought) == (None, {})


async def test_ids_that_do_not_come_in_time_are_not_other_ones(
    member: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(Membership, "_ids_now", never)
    assert await asyncio.wait_for(member.other(0.01), deadline(4)) is None
