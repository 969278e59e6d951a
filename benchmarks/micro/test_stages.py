"""What a batch costs each step by itself: `make microbench`. CPU time; nothing runs beside it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks.calls import BUDGETS, BY_USER
from benchmarks.combine import VIEWS

from benchmarks import merge as merging
from llmvitals.combine import Combine, CombinePlan
from llmvitals.ingest import decode
from llmvitals.merge import Merge
from llmvitals.price import Prices
from llmvitals.record.log import Logged
from llmvitals.record.native import DECODER
from llmvitals.record.tokens import token_columns
from llmvitals.record.view import View
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import load_engine
from llmvitals.settings import Settings
from llmvitals.sketch import counters
from llmvitals.store.sqlite.store import SqliteStore
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.benchmark(timer=time.process_time, disable_gc=False)
PANE = 10 * SECOND
BY = View("user", tuple(BY_USER[0]["by"]))


def test_decode(benchmark: BenchmarkFixture, calls: list[Logged]) -> None:
    """JSON → calls."""
    values = [record.value or b"" for record in calls]
    decoded = benchmark(lambda: [DECODER.decode(value) for value in values])
    assert len(decoded) == len(calls)


def test_price(benchmark: BenchmarkFixture, calls: list[Logged]) -> None:
    """Calls → nano-dollars."""
    prices, decoded = Prices(), [DECODER.decode(record.value or b"") for record in calls]
    costs = benchmark(lambda: prices.assess_all(decoded, token_columns(decoded)))
    assert costs.nano.any()


def combine(views: tuple[View, ...]) -> Combine:
    """A new combine stage."""
    plan = CombinePlan(decode, Prices().assess_all, DECODER.decode, views=views, shards=4)
    return Combine(plan, source="calls/0", sources={"calls": 1}, parts={}, beginning=0)


@pytest.mark.parametrize("views", [VIEWS, (BY,)], ids=["views", "users"])
def test_combine(benchmark: BenchmarkFixture, calls: list[Logged], views: tuple[View, ...]) -> None:
    """Calls → frames: decode, price, duplicates and sums."""

    def run(stage: Combine) -> Combine:
        stage.apply(calls)
        stage.finish()
        return stage

    done = benchmark.pedantic(run, setup=lambda: ((combine(views),), {}), rounds=20, warmup_rounds=2)
    assert done.counters["applied"] == len(calls)


def test_merge(benchmark: BenchmarkFixture, frames: list[Logged]) -> None:
    """Frames → points of all windows."""

    def run() -> Merge:
        stage = merging.new_stage()
        stage.apply(frames)
        stage.finish()
        return stage

    assert benchmark(run).counters["points"] > 0


def test_detect(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A closed pane of each of 1,000 series with a budget."""
    (tmp_path / "rules.yaml").write_text(BUDGETS, encoding="utf-8")
    engine = load_engine(tmp_path, PANE)
    (view,) = engine.rules.by_view
    sums = {"calls": 4, "usage_calls": 4, "priced_calls": 4, "cost_nano": 40_000}
    pane = Vitals(tuple(sums.get(name, 0) for name in counters.SUMS), (0,) * len(counters.MAXIMA))
    first = merging.START * 1_000 // PANE
    states: list[dict[str, object]] = [{} for _ in range(1_000)]

    def run() -> int:
        for number, state in enumerate(states):
            closed = [(first, pane)]
            engine.advance(view, (f"u-{number}",), state, floor=first + 1, closed=closed)
        return len(states)

    assert benchmark(run) == len(states)
    assert all(states)


def test_sink(benchmark: BenchmarkFixture, points: list[Logged], tmp_path: Path) -> None:
    """Points → SQLite."""

    async def write(number: int) -> None:
        store = SqliteStore(Settings(sqlite=tmp_path / f"{number}.db"))
        await store.take(0, points)
        await store.stop()

    numbers = iter(range(1_000))
    benchmark.pedantic(lambda: asyncio.run(write(next(numbers))), rounds=10, warmup_rounds=1)
    assert list(tmp_path.glob("*.db"))
