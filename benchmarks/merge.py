"""Measures the speed of merge without Kafka: `python benchmarks/merge.py [series] [sources] [minutes]`."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from llmvitals.merge import Merge, MergePlan
from llmvitals.record.frame import Entry, Frame
from llmvitals.record.log import Logged
from llmvitals.record.view import View
from llmvitals.record.vitals import Vitals
from llmvitals.sketch import counters, quantiles
from llmvitals.window import SECOND

PANE = 10 * SECOND
FIRST = 1_700_006_400 * SECOND // PANE
CALLS = 20
PER_FRAME = 500
VIEW = View("app_model", ("app", "model"))


def content(rng: np.random.Generator) -> bytes:
    """A pane of CALLS calls in one series, with all five sketches."""
    keys = np.concatenate(
        [
            quantiles.bin_keys(sketch, rng.lognormal(5, 1, CALLS))
            for sketch in quantiles.SKETCHES
            if sketch != "toxicity"
        ]
    )
    found, counts = np.unique(keys, return_counts=True)
    sums = tuple(int(number) for number in rng.integers(CALLS, 10**9, len(counters.SUMS)))
    maxima = tuple(int(number) for number in rng.integers(10**9, 2 * 10**9, len(counters.MAXIMA)))
    worst: dict[str, tuple[tuple[int, str], ...]] = {
        "cost": ((int(rng.integers(10**9)), f"{rng.integers(2**62):032x}"),)
    }
    return Vitals(sums, maxima, (found.astype(np.uint16), counts), {}, worst).pack()


def frames(pane: int, series: int, sources: int, contents: list[bytes]) -> list[Frame]:
    """All sources' frames of one pane, and their heartbeats after it."""
    made = []
    for source in range(sources):
        for first in range(0, series, PER_FRAME):
            entries = tuple(
                Entry(
                    VIEW.name,
                    (f"app-{n % 200}", f"model-{n // 200}"),
                    FIRST + pane,
                    contents[(n * 7 + source + pane) % len(contents)],
                )
                for n in range(first, min(first + PER_FRAME, series))
            )
            made.append(frame(source, sources, pane, entries))
    return made + [frame(source, sources, pane + 1, ()) for source in range(sources)]


def frame(source: int, sources: int, floor: int, entries: tuple[Entry, ...]) -> Frame:
    """One frame, floor a pane counted from FIRST."""
    return Frame(f"calls/{source}", {"calls": sources}, 0, 1, FIRST + floor, floor + 1, PANE, entries)


def resident_mb() -> float:
    """The greatest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(series: int = 10_000, sources: int = 4, minutes: int = 2) -> None:
    rng = np.random.default_rng(1)
    contents = [content(rng) for _ in range(997)]
    stage = Merge(MergePlan(PANE, {VIEW.name: VIEW}), shard=0, parts={}, beginning=0)
    before, taking, panes, sizes = resident_mb(), [], [], []
    for pane in range(6 * minutes):
        records = [
            Logged(stage.next + n, 0, each.encode())
            for n, each in enumerate(frames(pane, series, sources, contents))
        ]
        began = time.process_time()
        stage.apply(records[:-1])
        middle = time.process_time()
        stage.counters["points"] = 0
        stage.apply(records[-1:])
        points = stage.counters["points"]
        panes.append((time.process_time() - middle, points))
        taking.append((middle - began) / len(records))
        began = time.process_time()
        sizes += [(sum(map(len, stage.snapshot().parts.values())), time.process_time() - began)]
    fewest = min(points for _, points in panes)
    inner = [spent for spent, points in panes if points == fewest]
    minute = [spent for spent, points in panes if points > fewest]
    longest = max(spent for _, spent in sizes) * 1e3
    print(f"{series} series, {sources} sources, {CALLS} calls each a pane, {len(contents[0])} bytes an entry")
    print(f"frames           {1 / np.median(taking):9,.0f} /s of {PER_FRAME} entries")
    print(f"series-panes     {series / np.median(inner):9,.0f} /s closed, to JSON points")
    print(f"closing a pane   {np.median(inner):9.2f} s; a minute's last, 5 points each, {max(minute):.2f} s")
    print(f"a snapshot       {longest:9.1f} ms, {max(size for size, _ in sizes):,} bytes")
    print(f"memory           {resident_mb():9,.0f} MB at most, {before:,.0f} before")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
