"""Worker processes on a real broker, to be watched, killed, paused and restarted."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from llmvitals import topics
from llmvitals.settings import Settings
from preloaded import Preloaded
from waiting import deadline, until

HEALTH_PAGES = re.compile(r"health pages are on (http://[\w.:]+)")


class Worker:
    """One `llmvitals worker --stage …`. alone: it imports everything itself, unlike `Preloaded`."""

    def __init__(self, stage: str, env: dict[str, str], log: Path, *, alone: bool = False) -> None:
        self.stage, self.log, self.stopped = stage, log, False
        words, env = ["worker", "--stage", stage], {**env, "LLMVITALS_HEALTH_PORT": "0"}
        self.process: subprocess.Popen[bytes] | Preloaded
        if not alone:
            self.process = Preloaded(words, env, log)
            return
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "llmvitals", *words],
                env=env,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )

    @property
    def url(self) -> str:
        """Where its health pages are, by its log; "" while it serves none."""
        found = HEALTH_PAGES.search(self.text())
        return found[1] if found else ""

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(deadline(10))

    def stop(self, timeout: float = 20) -> int:
        self.stopped = True
        self.process.terminate()
        return self.process.wait(deadline(timeout))

    async def ready(self, seconds: float = 60) -> None:
        await asyncio.to_thread(
            until,
            lambda: self.metric("llmvitals_ready") == 1,
            seconds,
            lambda: f"it is not ready: {self.reasons()}\n{self.text()}",
        )

    async def ends(self, seconds: float) -> int:
        """Its exit code, when it ends by itself."""
        return await asyncio.to_thread(self.process.wait, deadline(seconds))

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the labels not given; 0 while the worker does not answer."""
        if not (url := self.url):
            return 0
        try:
            with urllib.request.urlopen(f"{url}/metrics", timeout=deadline(2)) as answer:
                text = answer.read().decode()
        except (OSError, HTTPException):
            return 0
        lines = (line for line in text.splitlines(keepends=True) if line.startswith(name))
        return sum(
            sample.value
            for family in text_string_to_metric_families("".join(lines))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def reasons(self) -> str:
        """Why it is not ready, by /readyz; "" when it is, or does not answer."""
        if not (url := self.url):
            return ""
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=deadline(2)):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return "; ".join(json.loads(error.read())["reasons"])
        except (OSError, HTTPException):
            return ""

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class Cluster:
    """Topics of one test and the workers on them: `async with` creates the topics, and kills what is left.

    alone: each worker imports everything itself, so that sets have another order in each. So does one with
    variables of its own, as some are read at the import.
    """

    def __init__(
        self, brokers: str, prefix: str, folder: Path, *, alone: bool = False, **settings: Any
    ) -> None:
        self.folder, self.alone = folder, alone
        self.values = {"brokers": brokers, "topic_prefix": prefix, "group": prefix, "session_timeout": "6s",
                       "alerts": str(folder / "no-rules"), **settings}  # fmt: skip
        self.workers: list[Worker] = []

    async def __aenter__(self) -> Self:
        await self.apply_topics()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    @property
    def settings(self) -> Settings:
        return Settings(**self.values)

    @property
    def env(self) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("LLMVITALS_")}
        return plain | {f"LLMVITALS_{name.upper()}": str(value) for name, value in self.values.items()}

    async def apply_topics(self) -> None:
        await topics.apply(self.settings)

    def start(self, stage: str, **extra: str) -> Worker:
        log, alone = self.folder / f"{stage}-{len(self.workers)}.log", self.alone or bool(extra)
        worker = Worker(stage, self.env | extra, log, alone=alone)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGCONT)
                worker.kill()

    def logs(self) -> str:
        return "\n".join(f"== {w.log.name}\n{w.text()[-3000:]}" for w in self.workers)

    async def publish(self, topic: str, partition: int, values: list[bytes]) -> None:
        """In the order given, to one partition."""
        producer = AIOKafkaProducer(bootstrap_servers=self.values["brokers"], linger_ms=5)
        try:
            await producer.start()
            sent = [await producer.send(topic, value, partition=partition) for value in values]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def read(self, topic: str) -> list[Any]:
        """All records of a topic."""
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.values["brokers"],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            records: list[Any] = []
            for partition, end in ends.items():
                consumer.seek(partition, 0)
                while await consumer.position(partition) < end:
                    for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                        records.extend(batch)
            return records
        finally:
            await consumer.stop()


def rows(path: str | Path, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    """What a query of the SQLite store gives; nothing while the file is not there yet."""
    if not Path(path).exists():
        return []
    with suppress(sqlite3.OperationalError):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return connection.execute(sql, args).fetchall()
        finally:
            connection.close()
    return []
