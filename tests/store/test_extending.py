"""A store is one class and one registration: it gets a pipeline's points, and commands read it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from llmvitals.backtest.replay import Replay
from llmvitals.cli import app
from llmvitals.cli.doctor import examine
from llmvitals.meters import Meters
from llmvitals.record.log import Logged, Message, Record, Topic
from llmvitals.record.point import Point, decode
from llmvitals.settings import Settings
from llmvitals.store.protocol import Store, StoredPoint
from llmvitals.store.question import Request, Sample
from llmvitals.store.registry import STORES, store_reader, store_sink

SECOND = 1_000_000
START = 1_780_304_400
"""A full hour, in seconds."""


class Memory(Store):
    """Keeps points in this process."""

    kept: ClassVar[dict[str, Point]] = {}

    def __init__(self, settings: Settings, *, meters: Meters | None = None) -> None:
        del settings, meters

    @classmethod
    def is_configured(cls, settings: Settings) -> bool:
        return settings.topic_prefix == "toy"

    @property
    def place(self) -> str:
        return "this process"

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        for point in chain.from_iterable(decode(record.value or b"") for record in records):
            self.kept[f"{point.measurement} {point.start} {sorted(point.tags.items())}"] = point
        return []

    async def samples(self, request: Request) -> list[Sample]:
        wanted = {"view": request.view, "window": request.window, **request.where}
        return [
            Sample(
                point.start,
                {name: value for name, value in point.tags.items() if name not in ("view", "window")},
                {
                    name: value
                    for name, value in {**point.counts, **point.measures}.items()
                    if name in request.fields
                },
            )
            for point in self.kept.values()
            if point.measurement == request.measurement
            and request.since <= point.start < request.until
            and wanted.items() <= point.tags.items()
        ]

    async def points(self, measurement: str, since: int, until: int) -> list[StoredPoint]:
        return [
            StoredPoint(point.start, point.tags, {**point.counts, **point.measures, **point.texts})
            for point in self.kept.values()
            if point.measurement == measurement and since <= point.start < until
        ]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings that name the store, which is registered, here and in the environment."""
    monkeypatch.setitem(STORES, "memory", Memory)
    monkeypatch.setenv("LLMVITALS_TOPIC_PREFIX", "toy")
    yield Settings(topic_prefix="toy", brokers="127.0.0.1:9")
    Memory.kept.clear()


async def fill(settings: Settings) -> None:
    """Put 60 calls through the stages, and their points into the stores."""
    replay = Replay.of(settings)
    calls = [
        {"id": f"c{n}", "ts": (START + n) * 1_000, "model": "gpt-5", "team": "search"} for n in range(60)
    ]
    events = [Logged(n, call["ts"], json.dumps(call).encode()) for n, call in enumerate(calls)]
    messages = [*replay.feed(events), *replay.finish()]
    points = [message for message in messages if message.topic is Topic.VITALS]
    sink = store_sink(settings)
    assert sink is not None
    await sink.start()
    await sink.take(0, [Logged(n, 0, point.value) for n, point in enumerate(points)])
    await sink.stop()


async def test_it_is_written_and_read(settings: Settings) -> None:
    await fill(settings)
    assert store_reader(settings).place == "this process"
    sink = store_sink(settings)
    assert sink is not None
    assert (await sink.needs(0), sink.health()) == (None, None)
    points = await store_reader(settings).points("llm_calls", START * SECOND, (START + 3_600) * SECOND)
    assert 60 in {point.fields["calls"] for point in points if point.tags["window"] == "1h"}


@pytest.mark.usefixtures("settings")
class TestCommands:
    """What commands say, which make a loop of their own."""

    @pytest.fixture(autouse=True)
    async def filled(self, settings: Settings) -> None:
        await fill(settings)

    def test_query(self) -> None:
        words = "query --metric calls --by team --window 1h --since 2026-06-01T00:00:00Z --format json"
        answer = CliRunner().invoke(app, words.split())
        assert answer.exit_code == 0, answer.output
        assert json.loads(answer.output) == [{"time": "2026-06-01T09:00:00Z", "team": "search", "calls": 60}]

    def test_history(self) -> None:
        answer = CliRunner().invoke(app, ["alerts", "history", "--json"])
        assert (answer.exit_code, json.loads(answer.output)) == (0, [])


async def test_the_doctor_looks_at_it(settings: Settings) -> None:
    (finding,) = [finding for finding in await examine(settings) if finding.what == "store"]
    assert (finding.state, finding.found) == (
        "fine",
        "this process answers; it has 0 minutes of the last 10 minutes",
    )


async def test_it_is_written_beside_the_others_and_the_first_one_is_read(
    settings: Settings, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = settings.model_copy(update={"sqlite": tmp_path / "vitals.sqlite"})
    await fill(both)
    span = START * SECOND, (START + 3_600) * SECOND
    in_sqlite = await store_reader(both).points("llm_calls", *span)
    in_memory = await Memory(both).points("llm_calls", *span)
    assert len(in_sqlite) == len(in_memory) > 0
    assert store_reader(both).place.startswith("SQLite file")
    monkeypatch.setenv("LLMVITALS_SQLITE", str(both.sqlite))
    found = [finding.found for finding in await examine(both) if finding.what == "store"]
    assert len(found) == 2
    query = ["query", "--metric", "calls", "--since", "2026-06-01T00:00:00Z"]
    answer = await asyncio.to_thread(CliRunner().invoke, app, query)
    assert answer.stderr == f"llmvitals: read from SQLite file {both.sqlite}\n"
    assert "60" in answer.stdout
