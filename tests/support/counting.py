"""A worker with a tiny stage: `python counting.py combine|merge|sink`; it counts and adds up numbers."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmvitals.errors import SinkError
from llmvitals.record.log import Message, Snapshot, Topic
from llmvitals.runtime.app import run
from llmvitals.settings import load
from llmvitals.stage import Sink, SinkBinding, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.log import Record


class Counting(Stage):
    """Counts the records of a partition and adds up their numbers; each batch gives one frame."""

    def __init__(
        self, topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
    ):
        state = json.loads(parts["manifest"]) if parts else {"next": beginning, "count": 0, "sum": 0}
        self.partition, self.sources = partition, sources
        self.next, self.count, self.sum = state["next"], state["count"], state["sum"]
        self.given = self.acknowledged = 0
        self.slow = float(os.environ.get("COUNTING_SLOW", "0"))

    @property
    def counters(self) -> dict[str, int]:  # type: ignore[override] # computed when it is read
        return {"in": self.count}

    def apply(self, records: Sequence[Record]) -> list[Message]:
        assert records[0].offset >= self.next
        for record in records:
            if record.value == b"bug":
                raise ValueError("a bug in the stage")
            self.count += 1
            self.sum += int(record.value or b"0")
        if self.slow:
            time.sleep(self.slow)
        self.next = records[-1].offset + 1
        self.given += 1
        if any(record.value == b"0" for record in records) and "COUNTING_LARGE" in os.environ:
            return [Message(Topic.PARTIALS, b"large", bytes(2_000_000))]
        to = Topic.VITALS if sys.argv[1] == "merge" else Topic.PARTIALS
        return [Message(to, b"%d" % self.partition, self._frame())]

    def _frame(self) -> bytes:
        return json.dumps([self.partition, self.next, self.count, self.sum]).encode()

    def mark(self) -> int:
        return self.given

    def delivered(self, mark: int) -> None:
        assert mark == self.acknowledged + 1, "acknowledgements come in order"
        self.acknowledged = mark

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        state = {"next": self.next, "count": self.count, "sum": self.sum}
        return Snapshot(self.next, {"manifest": json.dumps(state).encode()})


class Promising(Counting):
    """Its watermark is the greatest number; a promise is sent as a frame once it is safe."""

    watermark = 0
    can_promise = True
    promised: int | None = None

    def apply(self, records: Sequence[Record]) -> list[Message]:
        self.watermark = max([self.watermark, *(int(record.value or b"0") for record in records)])
        return super().apply(records)

    def promise(self, floor_time: int) -> None:
        self.promised = floor_time

    def flush(self) -> list[Message]:
        if self.promised is None:
            return []
        promised, self.promised = self.promised, None
        self.given += 1
        return [Message(Topic.PARTIALS, b"promise", json.dumps([self.partition, promised]).encode())]


class Writing(Sink):
    """A sink that appends what it takes to a file, and can be down while another file exists."""

    def __init__(self, path: str, name: str):
        self.path, self.name = path, name

    async def start(self, history: Sequence[Record] | None) -> None:
        if history is not None:
            self._write("history", *sorted((record.value or b"").decode() for record in history))

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        if Path(f"{self.path}.{self.name}.down").exists():  # noqa: ASYNC240 - a test
            raise SinkError("it is down", retry=True)
        if any(record.value == b"refused" for record in records):
            raise SinkError("it says no", retry=False)
        self._write(*((record.value or b"").decode() for record in records))
        return [Message(Topic.INCIDENTS, record.key or b"", record.value) for record in records if record.key]

    def _write(self, *values: str) -> None:
        with Path(f"{self.path}.{self.name}").open("a") as file:
            file.writelines(f"{value}\n" for value in values)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load()
    if sys.argv[1] == "sink":
        path = os.environ["SINK_FILE"]
        bindings = [
            SinkBinding(Topic.VITALS, Writing(path, "write")),
            SinkBinding(Topic.ALERTS, Writing(path, "notify"), history=Topic.INCIDENTS),
        ]
        sys.exit(run("sink", settings, lambda _: bindings))
    make = Promising if os.environ.get("COUNTING_PROMISES") else Counting
    stage: Literal["combine", "merge"] = "combine" if sys.argv[1] == "combine" else "merge"
    sys.exit(run(stage, settings, lambda _: make))
