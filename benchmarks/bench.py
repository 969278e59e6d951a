"""What is measured: its name, unit and meaning; what was found; and what a measurement works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.calls import BUDGETS, PARTITIONS, Calls, prepared

from llmvitals.local.kafka import LocalKafka

Json = dict[str, Any]


class MeasureFailed(Exception):
    """A figure can't be measured: the message says why, and stands in its row."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    unit: of a rate the thing that is counted in a second. beside: the name of the figure that it is divided
    by. former: an older name, under which the JSON has it too.
    """

    name: str
    unit: str
    text: str
    rate: bool = True
    beside: str = ""
    former: str = ""


@dataclass(slots=True)
class Result:
    """The value of a figure; None where it could not be measured, which `note` explains.

    mb: the greatest resident size of the process that was measured, in MB.
    """

    name: str
    value: float | None
    mb: float | None = None
    note: str = ""


@dataclass(slots=True)
class Bench:
    """What a measurement works with.

    folder: for its files; removed at the end. calls: how many a rate is taken from. say: tells what is being
    done. only: the figures that are asked for. results: the figures so far.
    """

    kafka: LocalKafka
    folder: Path
    calls: int
    say: Callable[[str], None]
    only: frozenset[str] = frozenset()
    results: dict[str, Result] = field(default_factory=dict)
    _envs: dict[str, dict[str, str]] = field(default_factory=dict)

    def env(
        self,
        name: str,
        *,
        users: int = 40,
        calls: int | None = None,
        partitions: int = PARTITIONS,
        **settings: object,
    ) -> dict[str, str]:
        """The environment of a worker on topics of this name, which get the calls when first asked for.

        calls: None for as many as a rate is taken from.
        """
        if name not in self._envs:
            count = self.calls if calls is None else calls
            self.say(f"{name}: {count:,} calls of {users:,} users go to Kafka")
            values = Calls(users).until_now(count)
            topics = prepared(self.kafka.address, name, values, partitions=partitions, **settings)
            self._envs[name] = asyncio.run(topics)
        return self._envs[name]

    def wants(self, *names: str) -> bool:
        """Whether one of these figures was asked for."""
        return not self.only or not self.only.isdisjoint(names)

    def budgets(self) -> str:
        """A folder with a budget for each user."""
        folder = self.folder / "budgets"
        folder.mkdir(exist_ok=True)
        (folder / "rules.yaml").write_text(BUDGETS, encoding="utf-8")
        return str(folder)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Figures that are measured together, and how. `measure` yields each of them as soon as it has it."""

    title: str
    figures: tuple[Figure, ...]
    measure: Callable[[Bench], Iterator[Result]]
