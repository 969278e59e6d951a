"""The demo's backends: the worker on a Kafka, or the same stages in this process."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr

from llmvitals import topics
from llmvitals.alerting import incident_sink
from llmvitals.backtest.replay import Replay
from llmvitals.environment import PREFIX
from llmvitals.errors import LlmvitalsError
from llmvitals.local.service import Child
from llmvitals.pipeline import routing
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Topic
from llmvitals.settings import Settings
from llmvitals.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from types import TracebackType


class DemoBackend(Protocol):
    """Takes calls and gives alerts. alerts: episode → its newest change, the oldest episode first."""

    alerts: dict[str, Alert]

    async def send(self, event: bytes, key: bytes) -> None:
        """Give an event to the stages."""

    async def poll(self) -> None:
        """Read the alerts that have come out; called about once a second."""

    async def drain(self) -> None:
        """Wait until the events that were sent are processed."""


class OnKafka:
    """The worker, in its own processes, on a broker."""

    def __init__(self, settings: Settings) -> None:
        self.alerts: dict[str, Alert] = {}
        # Its own group and topics, so that the demo can run on a Kafka that others use.
        name = f"demo{time.time_ns() // 10**9}"
        self._settings = settings.model_copy(update={"topic_prefix": name, "group": name})

    async def __aenter__(self) -> Self:
        await topics.apply(self._settings)
        async with AsyncExitStack() as stack:
            self._producer = AIOKafkaProducer(**self._settings.client("demo"))
            stack.push_async_callback(self._producer.stop)
            await self._producer.start()
            self._consumer = AIOKafkaConsumer(
                self._settings.topic(Topic.ALERTS),
                **self._settings.client("demo"),
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            stack.push_async_callback(self._consumer.stop)
            await self._consumer.start()
            log = Path(tempfile.gettempdir()) / f"llmvitals-{self._settings.group}.log"
            self._worker = Child([sys.executable, "-m", "llmvitals", "worker"], log, env=self._env())
            stack.push_async_callback(asyncio.to_thread, self._worker.stop, 20.0)
            self._begun = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._begun.aclose()

    async def send(self, event: bytes, key: bytes) -> None:
        """Publish the event to the calls topic."""
        await self._producer.send(self._settings.sources[0], event, key=key)

    async def poll(self) -> None:
        """Read the alerts. Raises LlmvitalsError when the worker has ended."""
        if not self._worker.alive:
            raise LlmvitalsError(f"the worker has ended:\n{self._worker.tail(20)}")
        for records in (await self._consumer.getmany(timeout_ms=0)).values():
            for record in records:
                alert = Alert.decode(record.value)
                self.alerts[alert.episode] = alert

    async def drain(self) -> None:
        """Wait three seconds for the last alerts."""
        for _ in range(3):
            await asyncio.sleep(1)
            await self.poll()

    def _env(self) -> dict[str, str]:
        """The environment of the worker's processes, with the settings of this one."""
        settings = self._settings.model_copy(update={"health_port": 0})
        env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        for name in settings.model_fields_set:
            value = getattr(settings, name)
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            if plain is not None:
                env[f"{PREFIX}{name.upper()}"] = str(plain)
        return env


class InProcess:
    """The same stages in this process, without Kafka."""

    def __init__(self, settings: Settings) -> None:
        self.alerts: dict[str, Alert] = {}
        self._replay = Replay.of(settings)
        assert settings.sqlite is not None  # noqa: S101 - the demo has set it
        self._store, self._incidents = SqliteStore(settings), incident_sink(settings, routing(settings))
        self._events: list[Logged] = []
        self._offset = 0

    async def __aenter__(self) -> Self:
        await self._store.start()
        await self._incidents.start([])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._store.stop()
        await self._incidents.stop()

    async def send(self, event: bytes, key: bytes) -> None:
        """Keep the event for the next poll."""
        self._events.append(Logged(self._offset, time.time_ns() // 10**6, event, key))
        self._offset += 1

    async def poll(self) -> None:
        """Put the events through the stages, their points into the store, and their alerts to Slack."""
        events, self._events = self._events, []
        out = self._replay.feed(events)
        points = [Logged(n, 0, m.value) for n, m in enumerate(out) if m.topic is Topic.VITALS]
        alerts = [Logged(n, 0, m.value) for n, m in enumerate(out) if m.topic is Topic.ALERTS]
        await self._store.take(0, points)
        await self._incidents.take(0, alerts)
        await self._incidents.tick()
        for record in alerts:
            alert = Alert.decode(record.value or b"")
            self.alerts[alert.episode] = alert

    async def drain(self) -> None:
        """Process the last events; nothing else is in flight."""
        await self.poll()
