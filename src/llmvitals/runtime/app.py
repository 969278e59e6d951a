"""Runs stages and sinks on Kafka: one Faust app, consumer group and process of each kind."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import faust
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError

from llmvitals.errors import BrokerDown, LlmvitalsError, MissingTopic
from llmvitals.meters import Readiness, Unmetered
from llmvitals.record.log import Topic
from llmvitals.runtime.kafka.checkpoint import CheckpointStore
from llmvitals.runtime.kafka.connect import wait_for_topics
from llmvitals.runtime.kafka.membership import ANSWER
from llmvitals.runtime.kafka.producer import Producer
from llmvitals.runtime.kafka.sink_runner import SinkRunner
from llmvitals.runtime.kafka.stage_runner import StageRunner
from llmvitals.runtime.kafka.tail import Tail
from llmvitals.runtime.kafka.transport import Undecoded
from llmvitals.runtime.kafka.watchdog import GRACE, REBALANCE, SILENCE, Guard, Patience, Stalled
from llmvitals.runtime.reload import Reload
from llmvitals.runtime.stop import told, until_told
from llmvitals.stage import SinkBinding
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Coroutine, Mapping

    from llmvitals.meters import Meters
    from llmvitals.runtime.kafka.feed import Batch, Clock, Work
    from llmvitals.runtime.kafka.transport import Consumer
    from llmvitals.settings import Settings
    from llmvitals.stage import Reread, StageFactory

log = logging.getLogger(__name__)

T = TypeVar("T")
Kind = Literal["combine", "merge", "sink", "score"]

_READS: Final[dict[str, tuple[Topic, ...]]] = {
    "merge": (Topic.PARTIALS,),
    "sink": (Topic.VITALS, Topic.ALERTS),
}
_WRITES: Final[dict[str, tuple[Topic, ...]]] = {
    "combine": (Topic.PARTIALS, Topic.DEAD_LETTERS, Topic.ALERTS, Topic.CHECKPOINTS),
    "merge": (Topic.VITALS, Topic.ALERTS, Topic.WATERMARKS, Topic.CHECKPOINTS),
    "sink": (Topic.INCIDENTS, Topic.SILENCES, Topic.VERDICTS, Topic.WATERMARKS),
    "score": (Topic.SCORES, Topic.CHECKPOINTS),
}


class Application(faust.App):
    """A Faust app that knows its settings and its work (a `feed.Host`)."""

    settings: Settings
    work: Work
    stage: str
    readiness: Readiness
    guard: Guard
    tasks: tuple[Callable[[], Coroutine[None, None, None]], ...]
    unread_since: float | None
    """When partitions were last being read, by the monotonic clock; None while they are."""

    @property
    def reader(self) -> Consumer:
        """The consumer that the transport has made."""
        return cast("Consumer", self.consumer)

    def _create_directories(self) -> None:
        pass  # they are for tables, which are not used: a worker writes no file

    async def on_start(self) -> None:
        await super().on_start()
        await self.work.start()
        self.reading(False)
        for task in self.tasks:
            self.add_future(task())

    async def on_stop(self) -> None:
        # The loop no longer beats from here on: the end has its own time limit.
        self.guard.end_within(2 * GRACE)
        await super().on_stop()

    async def on_shutdown(self) -> None:
        await self.work.stop()
        await super().on_shutdown()

    async def fail(self, error: BaseException) -> None:
        """End the worker because of this error: nothing is saved any more, exit code 1.

        Work that still waits for the consumer when the worker stops gets a ConsumerStoppedError: no failure.
        """
        if isinstance(error, ConsumerStoppedError) and self.should_stop:
            return
        if self.work.failed is None:
            self.work.failed = error
            log.critical("%s stops: %s", self.stage, error, exc_info=error)
            self.guard.end_within(2 * GRACE)
            await self.crash(error)

    def on_rebalance_end(self) -> None:
        super().on_rebalance_end()
        self.reading(True)

    def reading(self, on: bool) -> None:
        """Note whether the partitions of this process are being read."""
        self.unread_since = None if on else time.monotonic()
        self.readiness.say("group", None if on else "partitions are being assigned")


class _Process(faust.Worker):
    """Faust's worker, without the signals that print the local variables and start a debugger."""

    def _on_sigusr1(self) -> None:
        faulthandler.dump_traceback(all_threads=True)

    _on_sigusr2 = _on_sigusr1


def build(
    stage: Kind, settings: Settings, work: StageFactory | Sequence[SinkBinding], meters: Meters | None = None
) -> Application:
    """Return the Faust app of a process kind.

    work: the factory of its stages (combine, merge, score), or its sinks (sink).
    """
    meters, group = meters or Unmetered(), f"{settings.group}-{stage}"
    app = Application(
        group,
        broker="kafka+batch://settings",  # the addresses are in the settings
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_commit_interval=duration(settings.checkpoint) / SECOND,
        worker_redirect_stdouts=False,
    )
    app.settings, app.stage, app.readiness = settings, stage, Readiness(meters)
    app.guard = Guard(duration(settings.stall) / SECOND)
    producer, tail = Producer(settings, f"{stage}-out"), Tail(settings, f"{stage}-in")
    if isinstance(work, Sequence):
        app.work = SinkRunner(
            work, settings, tail=tail, producer=producer, meters=meters, ready=app.readiness.say
        )
    else:
        topics = _read_by(stage, settings)
        store = CheckpointStore(settings, group, producer, tail)
        ready = app.readiness.say
        app.work = StageRunner(
            topics, work, settings, store=store, producer=producer, meters=meters, ready=ready
        )
    for topic in app.work.topics:
        _add_agent(app, topic)
    interval = duration(settings.flush) / SECOND
    clocks = (partial(_repeat, app, interval, clock) for clock in app.work.clocks())
    app.tasks = (partial(_watch, app, meters), *clocks)
    return app


def run(
    stage: Kind,
    settings: Settings,
    assemble: Callable[[Mapping[str, int]], StageFactory | Sequence[SinkBinding]],
    meters: Meters | None = None,
    *,
    reread: Callable[[Mapping[str, int]], Reread] | None = None,
) -> int:
    """Run a worker until it gets SIGTERM (0) or fails (1); return the exit code.

    assemble: called with each topic's number of partitions once Kafka can be reached; returns the work for
    `build`. Raises what it raises, such as ConfigError. reread: called with the same; returns what the work
    has to `adopt` when the rules have changed; None: changes of the rules are ignored.
    """
    meters = meters or Unmetered()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    topics = {*_read_by(stage, settings), *(settings.topic(topic) for topic in _WRITES[stage])}
    try:
        partitions = loop.run_until_complete(until_told(wait_for_topics(settings, topics, meters.ready)))
    except MissingTopic as error:
        log.critical("%s stops: %s", stage, error)
        return 1
    if partitions is None or told.is_set():
        return 0
    app = build(stage, settings, assemble(partitions), meters)
    if reread is not None:
        reload = Reload(settings.alerts, partial(reread, partitions), meters)
        loop.add_signal_handler(signal.SIGHUP, reload.ask)
        app.tasks = (*app.tasks, partial(_follow, app, reload))
    return _execute(app, loop)


def _read_by(stage: Kind, settings: Settings) -> tuple[str, ...]:
    own = {"combine": settings.sources, "score": settings.calls}
    return own[stage] if stage in own else tuple(map(settings.topic, _READS[stage]))


def _execute(app: Application, loop: asyncio.AbstractEventLoop) -> int:
    worker = _Process(app, loop=loop, override_logging=False, quiet=True)
    worker.spinner = None
    app.guard.beat()
    app.guard.start()
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return 1 if app.work.failed else int(end.code or 0)
    finally:
        app.guard.stop()
    return 0


def _add_agent(app: Application, topic: str) -> None:
    source = app.topic(topic, schema=Undecoded(), acks=False)

    async def agent(stream: AsyncIterable[tuple[Any, Batch]]) -> None:
        async for partition, batch in stream:
            try:
                await app.work.take(partition, batch)
            except Exception as error:  # noqa: BLE001 - the worker ends because of it
                await app.fail(error)

    app.agent(source, name=f"{app.stage}-{topic}")(agent)


async def _repeat(app: Application, interval: float, clock: Clock) -> None:
    """Call a clock's function again and again; interval: seconds."""
    while not app.should_stop:
        await clock.next(interval)
        try:
            await clock.call()
        except Exception as error:  # noqa: BLE001 - the worker ends because of it
            await app.fail(error)
            return


async def _follow(app: Application, reload: Reload[Reread]) -> None:
    """Adopt the rules whenever they have changed."""
    while not app.should_stop:
        rules = await reload.next()
        if app.work.adopt(rules):
            await app.reader.renew()
        reload.holds()


async def _watch(app: Application, meters: Meters) -> None:
    """Once a second: tell the guard that the loop runs, report the lag, and see whether work stands still."""
    limit = duration(app.settings.stall) / SECOND
    answer = min(ANSWER, limit / 2)
    patience, ends, heard = Patience(limit), dict[TopicPartition, int](), time.monotonic()
    while not app.should_stop:
        app.guard.beat()
        progress, consumer = app.work.progress(), app.reader
        try:
            ends = await asyncio.wait_for(consumer.ends([part.partition for part in progress]), answer)
            heard = time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may tell
            log.debug("Kafka does not give the ends of the topics: %r", error)
        silence = time.monotonic() - heard
        app.readiness.say("kafka", f"Kafka is silent for {silence:.0f} s" if silence > SILENCE else None)
        for partition, offset, *_ in progress:
            lag = max(0, ends.get(partition, offset) - offset)
            meters.gauge("lag", lag, topic=partition.topic, partition=str(partition.partition))
        # Both answers together may take as long as the guard waits for a beat.
        app.guard.beat()
        if not await consumer.same_topics(answer):
            return
        if trouble := patience.look(time.monotonic(), progress, ends) or _trouble(app, silence, limit):
            await app.fail(trouble)
            return
        await asyncio.sleep(min(1.0, limit / 4))


def _trouble(app: Application, silence: float, limit: float) -> LlmvitalsError | None:
    """Return the error that ends the worker, if there is one."""
    since = app.unread_since
    if silence > limit:
        return BrokerDown(f"Kafka at {app.settings.brokers} has not answered for {silence:.0f} s")
    if since is None and (gone := app.reader.vanished()):
        return MissingTopic(f"{', '.join(sorted(gone))} was deleted while it was read")
    if since is not None and time.monotonic() - since > limit + REBALANCE:
        return Stalled("No partitions could be taken over for too long: restarting is the cure")
    return None
