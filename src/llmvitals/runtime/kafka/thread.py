"""The thread on which aiokafka's consumer runs; it stamps the fetches."""

# ruff: noqa: SLF001 - private attributes of Faust and aiokafka, which are pinned exactly

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver

from llmvitals.runtime.kafka.membership import drain, group_consumer

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterable

    from aiokafka import AIOKafkaConsumer, TopicPartition
    from faust.types import TP

    from llmvitals.runtime.kafka.feed import Batch, Host

log = logging.getLogger(__name__)


class Listener(driver.ConsumerRebalanceListener):
    """Ends the stamp first, while aiokafka still revokes the partitions."""

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Any:
        self._thread.stamp = None  # type: ignore[attr-defined] # our Thread
        return super().on_partitions_revoked(revoked)


class Thread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread; methods with an underscore run on its loop."""

    stamp: int | None = None
    """Identifies the reading that began with our own seeks; None if there is none."""
    shutdown_timeout = 20.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions: dict[TopicPartition, int] = {}
        """Where the next batch of each partition begins."""

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the thread's loop, while others there may wait for a fetch.

        Raises ConsumerStoppedError when the loop is closed.
        """
        try:
            result = asyncio.run_coroutine_threadsafe(work, self.thread_loop)
        except RuntimeError:
            work.close()
            raise ConsumerStoppedError from None
        return await asyncio.wrap_future(result)

    async def fetch(self, wanted: Collection[TP], timeout: float) -> list[tuple[TP, Batch]]:  # noqa: ASYNC109 - the broker's
        """Return the fetched records of these partitions; wait up to `timeout` seconds for the first."""
        return cast("list[tuple[TP, Batch]]", await self.run(drain(self, wanted, timeout)))

    def touch(self) -> None:
        """Tell aiokafka that we are alive though nothing is fetched; otherwise it would leave the group."""
        with self._ensure_consumer()._subscription.fetch_context():
            pass

    async def on_thread_stop(self) -> None:
        # With the broker away, closing the fetcher leaks a CancelledError, and Faust would hang for 60 s.
        try:
            await asyncio.wait_for(super().on_thread_stop(), 5)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is over either way
            log.warning("The consumer did not stop cleanly: %r", error)

    def _stopped_set(self) -> None:
        # The thread of a crashed app ends by itself; its loop may be closed before it is told to stop.
        with suppress(RuntimeError):
            super()._stopped_set()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        del transport
        host = cast("Host", self.app)
        return group_consumer(host.settings, host.stage, self.app.conf.id)
