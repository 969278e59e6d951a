"""What the stores cost: `python -m benchmarks.sinks [POINTS]`.

Points as merge makes them, of SERIES users with some calls in every pane, in arrays, in fetches as the sink
gets them. Says how many points a second each store takes (SQLite, and a real InfluxDB 1.8), and the CPU of
the sink a point, from the records to the answer of the store; InfluxDB's own CPU is not in it. Each series is
written once before the clock starts, as in a worker that has run for a minute.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from llmvitals.backtest.replay import Replay
from llmvitals.local.influx import LocalInflux
from llmvitals.local.traffic import company
from llmvitals.record.log import Logged, Topic
from llmvitals.record.point import Point, decode, encode
from llmvitals.record.sizes import split_by_size
from llmvitals.settings import Settings, ViewSetting
from llmvitals.store.protocol import Store
from llmvitals.store.registry import STORES
from llmvitals.window import SECOND

SERIES = 10_000
CALLS = 5
"""Of a series in a pane."""
NEW = 2 * SERIES
"""Points of the first pane, two of each user."""
PANE = 10 * SECOND
FETCH = 1_048_576
"""Bytes of a partition that a worker gets at once, but at least one record."""
START_MS = 1_700_006_400_000


class Cost(NamedTuple):
    """points: written. rate: a second. cpu: of the sink, µs a point."""

    points: int
    rate: float
    cpu: float


def main(points: int = 100_000) -> None:
    """Print a table of all stores."""
    table = Table("store", "points", "points/s", "µs CPU a point")
    for name in STORES:
        cost = sink_cost(name, points)
        table.add_row(name, f"{cost.points:,}", f"{cost.rate:,.0f}", f"{cost.cpu:.1f}")
    Console().print(table)


def sink_rate(store: str, points: int) -> float:
    """Return how many points a second a sink writes; store: its name in `STORES`."""
    return sink_cost(store, points).rate


def sink_cost(store: str, points: int) -> Cost:
    """Write so many points to a new store of this name, and return what that takes."""
    source = panes()
    first = list(fetches(encode(itertools.islice(source, NEW))))
    batches = list(fetches(encode(itertools.islice(source, points)), first[-1][-1].offset + 1))
    with ExitStack() as stack:
        if store == "influx":
            bucket = stack.enter_context(LocalInflux()).bucket("sinks")
            settings = Settings(
                influx_url=bucket.url,
                influx_token=bucket.token,
                influx_org=bucket.org,
                influx_bucket=bucket.bucket,
            )
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = Settings(sqlite=Path(folder) / "vitals.db")
        cpu, seconds = asyncio.run(written(STORES[store](settings), first, batches))
    return Cost(points, points / seconds, cpu / points * 1e6)


async def written(
    sink: Store, first: Sequence[Sequence[Logged]], batches: Sequence[Sequence[Logged]]
) -> tuple[float, float]:
    """Write the first batches, then the others as the sink's runner does; the latter's seconds of CPU and by
    the clock."""
    await sink.start()
    for batch in first:
        await sink.take(0, batch)
    cpu, began = time.process_time(), time.perf_counter()
    for batch in batches:
        await sink.needs(0)
        await sink.take(0, batch)
    spent = time.process_time() - cpu, time.perf_counter() - began
    await sink.stop()
    return spent


def panes() -> Iterator[Point]:
    """Yield the points of one pane after the other, without end."""
    calls = list(itertools.islice(company(0, 3_600_000_000), 20_000))
    events = [
        calls[n % len(calls)] | {"id": f"c{n}", "ts": START_MS + n % 9_000, "user": f"user-{n % SERIES:05d}"}
        for n in range(SERIES * CALLS)
    ]
    stages = Replay.of(Settings(views=(ViewSetting(name="user", by=("user",)),), default_views=False))
    out = stages.feed([Logged(n, START_MS, msgspec.json.encode(call)) for n, call in enumerate(events)])
    arrays = [message.value for message in [*out, *stages.finish()] if message.topic is Topic.VITALS]
    points = [point for array in arrays for point in decode(array or b"")]
    pane = [point for point in points if point.tags["window"] == "10s"]
    for number in itertools.count():
        for point in pane:
            yield replace(point, start=point.start + number * PANE, upto=point.upto + number)


def fetches(values: Sequence[bytes], begin: int = 0) -> Iterator[list[Logged]]:
    """Yield records in fetches of at most FETCH bytes, but at least one record."""
    records = [Logged(offset, 0, value) for offset, value in enumerate(values, begin)]
    return split_by_size(records, lambda record: len(record.value or b""), limit=FETCH)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
