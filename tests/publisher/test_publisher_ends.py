"""Whatever happens to a call on its way, and to whoever waits for it, the publisher's thread goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import defaultdict
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiokafka
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmvitals import Publisher
from llmvitals.publisher import sender
from llmvitals.publisher.queue import Event, EventQueue
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDS = [
    "ok",
    "late",
    "never",
    "refused",
    "again",
    "fails",
    "fails again",
    "cancelled",
    "leak",
    "memory",
    "exit",
]
"""What Kafka makes of the first attempt; the next ones succeed."""
FINAL = {"refused", "fails", "memory"}
MOMENTS = [None, 0.0, 0.002, 0.01, 0.03]
"""Seconds after which who waits is cancelled."""


class FakeKafka:
    """Stands for aiokafka's producer."""

    script: dict[str, str]
    tried: defaultdict[str, int]
    starts: list[type[BaseException]]

    def __init__(self, **_: Any) -> None:
        self.client = SimpleNamespace(cluster=SimpleNamespace(partitions_for_topic=lambda _: {0}))
        self.waiting: list[asyncio.Future[Any]] = []

    async def start(self) -> None:
        if FakeKafka.starts:
            raise FakeKafka.starts.pop()

    async def stop(self) -> None:
        for future in self.waiting:
            future.cancel()

    async def send(self, _topic: str, value: bytes, key: bytes | None = None) -> asyncio.Future[Any]:
        await asyncio.sleep(0)
        name = json.loads(value)["id"]
        first = not self.tried[name]
        self.tried[name] += 1
        what = self.script.get(name, "ok") if first else "ok"
        if (error := RAISED.get(what)) is not None:
            raise error
        future = asyncio.get_running_loop().create_future()
        if what == "late":
            asyncio.get_running_loop().call_later(0.01, done, future)
        elif what == "never":
            self.waiting.append(future)
        elif what == "cancelled":
            future.cancel()
        elif what in FAILED:
            future.set_exception(FAILED[what]())
        else:
            future.set_result(None)
        return future


RAISED = {
    "refused": MessageSizeTooLargeError, "again": KafkaTimeoutError, "leak": asyncio.CancelledError,
    "memory": MemoryError, "exit": SystemExit,
}  # fmt: skip
FAILED = {"fails": MessageSizeTooLargeError, "fails again": KafkaConnectionError}


def done(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(aiokafka, "AIOKafkaProducer", FakeKafka)
    monkeypatch.setattr(sender, "_PAUSES", (0.002,))
    begin({})
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "llmvitals-publisher"]


def begin(script: dict[str, str], *starts: type[BaseException]) -> None:
    FakeKafka.script, FakeKafka.tried, FakeKafka.starts = script, defaultdict(int), list(starts)


def call(name: str) -> dict[str, Any]:
    return {"id": name, "model": "m"}


async def waited(publisher: Publisher, name: str, moment: float | None) -> bool | None:
    """What apublish says; None when it was cancelled."""
    task = asyncio.ensure_future(publisher.apublish(call(name)))
    if moment is not None:
        await asyncio.sleep(moment)
        task.cancel()
    with suppress(asyncio.CancelledError):
        return await task
    return None


async def play(calls: list[tuple[str, float | None]], close: float) -> None:
    """Publish them at once, cancel some, see that the next call gets there, close."""
    begin({f"c{number}": what for number, (what, _) in enumerate(calls)})
    publisher = Publisher(brokers="nowhere:1", queue=1_000)
    hanging = any(what == "never" for what, _ in calls)
    answers = [
        asyncio.ensure_future(waited(publisher, f"c{n}", moment)) for n, (_, moment) in enumerate(calls)
    ]
    async with asyncio.timeout(deadline(30)):
        assert await publisher.apublish(call("after")) is True, "the sender is gone"
        await asyncio.to_thread(publisher.close, close)
        found = await asyncio.gather(*answers)
    for answer, (what, moment) in zip(found, calls, strict=True):
        if answer is None:
            assert moment is not None
        elif not hanging:
            assert answer is (what not in FINAL), what
    assert publisher.waiting == 0
    assert publisher.sent + publisher.failed + publisher.dropped == len(calls) + 1
    if not hanging:
        assert publisher.failed == sum(1 for what, _ in calls if what in FINAL)
        assert publisher.dropped == 0


@pytest.mark.parametrize("what", SENDS)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_one_call_cancelled_at_any_moment(what: str, moment: float | None) -> None:
    await play([(what, moment)], 0.2 if what == "never" else 20)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.tuples(st.sampled_from(SENDS), st.sampled_from(MOMENTS)), min_size=1, max_size=12))
def test_any_calls_cancelled_at_any_moments(calls: list[tuple[str, float | None]]) -> None:
    asyncio.run(play(calls, 0.1 if any(what == "never" for what, _ in calls) else 20))


@pytest.mark.parametrize("kind", [KafkaConnectionError, ValueError, MemoryError, SystemExit])
async def test_a_producer_that_does_not_start_is_tried_again(kind: type[BaseException]) -> None:
    begin({}, kind, kind)
    async with Publisher(brokers="nowhere:1") as publisher:
        assert await asyncio.wait_for(publisher.apublish(call("a")), deadline(30)) is True
        assert publisher.restarts == (0 if issubclass(kind, Exception) else 2)


async def test_an_interruption_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    begin({"a": "leak", "b": "leak"})
    async with Publisher(brokers="nowhere:1") as publisher:
        assert await asyncio.gather(*(publisher.apublish(call(name)) for name in "ab")) == [True, True]
        assert publisher.restarts == 2
    (said,) = [record for record in caplog.records if "interrupted" in record.getMessage()]
    assert "CancelledError" in said.getMessage()


def test_who_waits_may_be_gone_with_its_loop(caplog: pytest.LogCaptureFixture) -> None:
    begin({"a": "late"})
    publisher = Publisher(brokers="nowhere:1")
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(publisher.apublish(call("a")))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert asyncio.run(publisher.apublish(call("b"))) is True
    publisher.close()
    assert (publisher.sent, publisher.restarts) == (2, 0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    del waiting


def test_a_thread_that_can_not_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Publisher(brokers="nowhere:1")

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        assert publisher.publish(call("a")) is True
    assert publisher.publish(call("b")) is True
    publisher.close()
    assert publisher.sent == 2


def test_closing_ends_who_waits_though_the_thread_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka can hang in a place where it can't be cancelled: nobody waits for ever."""
    go = threading.Event()
    monkeypatch.setattr(sender.Sender, "run", lambda _: go.wait(60))
    monkeypatch.setattr(threading.Thread, "join", lambda *_: None)
    publisher = Publisher(brokers="nowhere:1")

    async def main() -> bool:
        waiting = asyncio.ensure_future(publisher.apublish(call("a")))
        await asyncio.sleep(0)
        publisher._queue.take()  # it is under way
        publisher.close(0)
        return await asyncio.wait_for(waiting, deadline(30))

    assert asyncio.run(main()) is False
    assert publisher.dropped == 1
    go.set()
    monkeypatch.undo()
    thread = publisher._queue.thread
    assert thread
    thread.join(10)


def test_a_handler_of_the_application_that_raises_harms_nothing() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("full")

    handler = Broken()
    logging.getLogger("llmvitals.publisher").addHandler(handler)
    try:
        begin({"a": "again"})
        with Publisher(brokers="nowhere:1") as publisher:
            assert publisher.publish({"bad": object()}) is False
            assert asyncio.run(publisher.apublish(call("a"))) is True
    finally:
        logging.getLogger("llmvitals.publisher").removeHandler(handler)


def test_a_cause_is_said_once_a_minute_with_how_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("llmvitals.publisher.queue.time", SimpleNamespace(monotonic=lambda: clock[0]))
    queue = EventQueue(1)
    assert queue.put(Event(None, b""))
    for _ in range(120):
        queue.put(Event(None, b""))
        queue.warn("away", "Kafka is away")
        clock[0] += 1
    queue.put(Event(None, b""))
    full = [r.getMessage() for r in caplog.records if "full" in r.getMessage()]
    assert len(full) == 3
    assert "(59 more times since the last warning)" in full[1]
    assert "1 calls wait, and so far 0 were sent, 61 dropped, 0 failed" in full[1]
    assert len([r for r in caplog.records if "away" in r.getMessage()]) == 2


def test_what_is_put_while_it_closes_is_sent_or_counted() -> None:
    for _ in range(30):
        publisher = Publisher(brokers="nowhere:1", queue=100_000)
        taken = [0]

        def publish(publisher: Publisher = publisher, taken: list[int] = taken) -> None:
            while publisher.publish(call("x")):
                taken[0] += 1

        thread = threading.Thread(target=publish)
        thread.start()
        time.sleep(0.002)
        publisher.close(20)
        thread.join(20)
        assert (publisher.sent, publisher.dropped) == (taken[0], 1)
