"""Faust's transport `kafka+batch`: one message per partition and fetch, commits and seeks by `feed.Work`.

Faust keeps the app's lifecycle, the group, rebalancing, agents and signals. Its acknowledgements, offsets
and commits are bypassed: they would commit records that are not safe yet. faust-streaming and aiokafka are
pinned exactly, because private attributes of both are used here.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from faust.events import Event
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from llmvitals.runtime.kafka.membership import ANSWER, Membership
from llmvitals.runtime.kafka.thread import Listener, Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from llmvitals.runtime.kafka.feed import Batch, Host, Work

log = logging.getLogger(__name__)

LOAD_TIMEOUT: Final = 60.0
"""Seconds for taking partitions over; below Faust's broker_request_timeout, which would end it silently."""
SAVE_TIMEOUT: Final = 25.0
"""Seconds for a checkpoint; below the rebalance timeout."""
LAST_SAVE_TIMEOUT: Final = 8.0
"""The same when the worker stops: it has 15 s for everything."""
QUEUED: Final = 2
"""Batches of a topic that may wait for its agent before fetching it stops."""

VERIFIED: Final = 0.2
"""Seconds for which a look at the topics' ids is good."""


class Undecoded(Schema[Any, Any]):
    """The value of an event is the message's Batch; nothing is decoded."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Any]:
        async def decode(message: Any, **_: Any) -> Event:
            return Event(app, None, message.value, None, message)

        return decode


class Consumer(driver.Consumer):
    """The consumer on the main loop."""

    RebalanceListener = Listener
    _thread: Thread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stamps = itertools.count(1)
        self._handing_over = asyncio.Lock()
        self._feed: Membership | None = None
        self._verified = 0.0

    @property
    def host(self) -> Host:
        """The app, as a `feed.Host`."""
        return cast("Host", self.app)

    @property
    def work(self) -> Work:
        """The work that processes the batches."""
        return self.host.work

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    def _wanted(self) -> set[TP]:
        """Return the active partitions of the topics whose agents have room."""
        index = self.app.topics._topic_name_index  # type: ignore[attr-defined] # the conductor's
        queued = {
            topic: max((channel.queue.qsize() for channel in index.get(topic, ())), default=0)
            for topic in self.work.topics
        }
        return {tp for tp in self._get_active_partitions() if queued.get(tp.topic, 0) < QUEUED}

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if not self.flow_active:
                    await self.wait_first(self.can_resume_flow.wait(), fetcher._stopped.wait())
                    continue
                await self._fetch_once()
        except ConsumerStoppedError:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except Exception as error:  # noqa: BLE001 - it goes up through the app
            await self.host.fail(error)

    async def _fetch_once(self) -> None:
        wanted = self._wanted()
        if not wanted:
            self._thread.thread_loop.call_soon_threadsafe(self._thread.touch)
            await asyncio.sleep(0.005)
            return
        # While one topic waits for its agent, the others must not keep it waiting longer.
        patience = 0.5 if wanted == self._get_active_partitions() else 0.05
        try:
            batches = await self._thread.fetch(wanted, patience)
        except NoOffsetForPartitionError:
            return  # from before our seek
        except OffsetOutOfRangeError as error:
            await self._expired(error.args[0])
            return
        if batches and not await self.same_topics():
            return
        for tp, batch in batches:
            if batch.stamp == self._thread.stamp and self.flow_active:
                await self.callback(self._message(tp, batch))

    def _message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        value = cast("bytes", (TopicPartition(*tp), batch))
        return ConsumerMessage(
            tp.topic, tp.partition, batch.start, 0.0, 0, [], None, value, None, tp=tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _expired(self, offsets: dict[TopicPartition, int]) -> None:
        feed = Membership(self._thread, self._thread.stamp or 0, self.work.topics)
        for partition, bounds in (await feed.bounds(offsets)).items():
            await self.work.expired(partition, bounds)

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset after the last record of each partition."""
        consumer = self._thread._ensure_consumer()
        return cast(
            "dict[TopicPartition, int]", await self._thread.run(consumer.end_offsets(list(partitions)))
        )

    def vanished(self) -> set[str]:
        """Return the topics that are no longer on the broker."""
        consumer = self._thread._ensure_consumer()
        return {topic for topic in self.work.topics if not consumer.partitions_for_topic(topic)}

    async def same_topics(self, answer: float = ANSWER) -> bool:
        """Return whether the topics are still those that were taken over; otherwise end the worker.

        Asked after a fetch and before its records are handed on, so that none of another topic are taken for
        the next ones; not more often than every VERIFIED seconds, in which nobody fills a new topic so far.
        answer: seconds that Kafka may take; without an answer they count as the same.
        """
        feed, now = self._feed, time.monotonic()
        if feed is None or now - self._verified < VERIFIED:
            return True
        if (other := await feed.other(answer)) is not None and feed is self._feed:
            topic, had, new = other
            await self.host.fail(self.work.recreated(topic, had=had, now=new))
            return False
        self._verified = now
        return True

    async def perform_seek(self) -> None:
        """Take the assigned partitions over. Called before records flow, while heartbeats are sent."""
        async with self._handing_over:
            await self._take_over_in_time()

    async def renew(self) -> None:
        """Give the partitions up and take them over again, as in a rebalance, to make new stages."""
        async with self._handing_over:
            if self._thread.stamp is None or self.work.failed:
                return
            self._thread.stamp = None
            await self._save(last=True)
            self.work.forget()
            if self.work.failed:
                return
            try:
                await self._take_over_in_time()
            except Exception as error:  # noqa: BLE001 - whoever is next makes them anew
                log.info("The partitions were not taken over again: %r", error)

    async def _take_over_in_time(self) -> None:
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                await self._take_over()
        except IllegalStateError:
            self.work.forget()
            raise  # Faust's recovery waits for the next assignment
        except TimeoutError as error:
            late = RuntimeError(f"taking partitions over took more than {LOAD_TIMEOUT:.0f} s")
            await self.host.fail(late)
            raise late from error
        except Exception as error:
            await self.host.fail(error)
            raise

    async def _take_over(self) -> None:
        feed = Membership(self._thread, next(self._stamps), self.work.topics)
        partitions = [TopicPartition(*tp) for tp in self.assignment()]
        if feed.generation != self.app.consumer_generation_id:
            raise IllegalStateError("rebalanced again")
        await feed.begin(await self.work.load(feed, partitions))
        self._feed = feed
        if not await self.work.save():
            raise IllegalStateError("rebalanced again")

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Save: called by Faust every `broker_commit_interval`."""
        del topics, start_new_transaction
        await self._save(last=False)
        return False

    async def wait_empty(self) -> None:
        """Save at the end of a generation or of the worker: no records flow, and the queues are empty."""
        self.host.reading(False)
        await self._save(last=True)

    async def _save(self, *, last: bool) -> None:
        if self.crashed or self.app.crashed or self.work.failed:
            return
        limit = LAST_SAVE_TIMEOUT if self.app.should_stop else SAVE_TIMEOUT
        try:
            async with asyncio.timeout(limit):
                await self.work.save(last=last)
        except TimeoutError:
            await self.host.fail(RuntimeError(f"a checkpoint took more than {limit:.0f} s: is Kafka there?"))
        except Exception as error:  # noqa: BLE001 - it goes up through the app
            await self.host.fail(error)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Save (by way of wait_empty) and forget."""
        await super().on_partitions_revoked(revoked)
        self.work.forget()

    async def on_stop(self) -> None:
        """Do nothing: Faust would save a second time."""
        cast("driver.Transport", self.transport)._topic_waiters.clear()

    async def on_task_error(self, exc: BaseException) -> None:
        """Do nothing: Faust would commit after an agent's error."""

    def ack(self, message: Any) -> bool:
        """Do nothing: messages are not acknowledged one by one."""
        del message
        return False

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None: ...

    def on_buffer_full(self, tp: TP) -> None: ...

    def on_buffer_drop(self, tp: TP) -> None: ...

    async def verify_all_partitions_active(self) -> None: ...

    def close(self) -> None:
        """Do nothing: Faust would close aiokafka's client from the wrong loop."""


class Producer(driver.Producer):
    """Faust's own producer, which is not used and does not connect."""

    async def on_start(self) -> None: ...

    async def on_stop(self) -> None: ...

    async def flush(self) -> None: ...


class Transport(driver.Transport):
    """Registered as `kafka+batch` by the entry point `faust.transports`."""

    Consumer = Consumer
    Producer = Producer
