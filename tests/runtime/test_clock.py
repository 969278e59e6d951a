"""When a clock calls its function."""

from __future__ import annotations

import asyncio

import pytest

from llmvitals.runtime.kafka.feed import TOGETHER, Clock

LONG = 3_600.0


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every sleep, none of which takes any time."""
    seconds: list[float] = []

    async def sleep(delay: float) -> None:
        seconds.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


async def nothing() -> None: ...


async def test_what_is_wanted_after_a_pause_is_done_at_once(slept: list[float]) -> None:
    clock = Clock(nothing)
    clock.wanted.set()
    await clock.next(LONG)
    assert slept == [TOGETHER]


async def test_what_is_wanted_again_waits_for_a_whole_interval_each_time(slept: list[float]) -> None:
    clock = Clock(nothing)
    for _ in range(3):
        clock.wanted.set()
        await clock.next(LONG)
    assert slept == [TOGETHER, LONG, LONG]
    await clock.next(LONG)  # nothing was wanted any more
    clock.wanted.set()
    await clock.next(LONG)
    assert slept == [TOGETHER, LONG, LONG, LONG, TOGETHER]


async def test_the_function_is_called_at_intervals_though_nothing_is_wanted(slept: list[float]) -> None:
    clock = Clock(nothing)
    await clock.next(0.001)
    assert not slept
