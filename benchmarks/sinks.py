"""Points a second of a store: `python -m benchmarks.sinks [STORE] [POINTS]`."""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.calls import Calls

from llmvitals.backtest.replay import Replay
from llmvitals.local.influx import LocalInflux
from llmvitals.record.log import Logged, Topic
from llmvitals.settings import Settings
from llmvitals.store.registry import STORES

USERS: Final = 10_000
PANE_MS: Final = 10_000
START: Final = 1_700_006_400_000
FETCH: Final = 800
"""Records of a fetch of 1 MB."""


def records(points: int) -> list[Logged]:
    """What merge writes to the vitals topic for at least so many points, most of them of users."""
    stages = Replay(Settings(views=({"name": "user", "by": ("user",)},), default_views=False))
    calls, points_made = Calls(USERS), list[Logged]()
    for pane in range(points):
        ts = START + pane * PANE_MS
        batch = [Logged(pane * USERS + n, ts, calls.at(ts)) for n in range(USERS)]
        points_made += [
            Logged(len(points_made), ts, message.value, message.key)
            for message in stages.feed(batch)
            if message.topic is Topic.VITALS
        ]
        if len(points_made) >= points:
            break
    return points_made[:points]


@contextmanager
def settings(store: str) -> Iterator[Settings]:
    """The settings of a store that is there and empty."""
    with tempfile.TemporaryDirectory() as folder:
        if store == "sqlite":
            yield Settings(sqlite=Path(folder) / "bench.db")
            return
        with LocalInflux() as influx:
            place = influx.bucket("bench")
            yield Settings(
                influx_url=place.url,
                influx_token=place.token,
                influx_org=place.org,
                influx_bucket=place.bucket,
            )


def sink_rate(store: str, points: int) -> float:
    """Points a second of a store, "influx" or "sqlite", by the clock, until it has confirmed all of them.

    Raises Unavailable where it can't run here.
    """
    given = records(points)

    async def write(own: Settings) -> float:
        sink = STORES[store](own)
        await sink.start()
        gc.collect()
        gc.freeze()
        began = time.perf_counter()
        for at in range(0, len(given), FETCH):
            await sink.take(0, given[at : at + FETCH])
        took = time.perf_counter() - began
        await sink.stop()
        return len(given) / took

    with settings(store) as own:
        return asyncio.run(write(own))


if __name__ == "__main__":
    wanted = sys.argv[1:2] or list(STORES)
    for store in wanted:
        print(f"{store:8} {sink_rate(store, int(sys.argv[2]) if sys.argv[2:] else 50_000):10,.0f} points/s")
