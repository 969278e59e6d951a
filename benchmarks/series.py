"""What fresh names cost merge, without Kafka: `python -m benchmarks.series [names] [names a second]`.

Every call has an app that was never heard of before. Says how many series points were made of, their bytes,
and the memory of the process.
"""

from __future__ import annotations

import resource
import sys
import time

from llmvitals.merge import Merge, MergePlan
from llmvitals.record.frame import Entry, Frame
from llmvitals.record.log import Logged
from llmvitals.record.point import decode
from llmvitals.record.view import View
from llmvitals.record.vitals import Vitals
from llmvitals.sketch import counters
from llmvitals.window import SECOND

PANE = 10 * SECOND
FIRST = 1_700_006_400 * SECOND // PANE
VIEW = View("app", ("app",))
ONE = Vitals(tuple(int(name in {"calls", "cost_nano"}) for name in counters.SUMS)).pack()


def main(names: int = 1_000_000, rate: int = 278) -> None:
    """10⁶ names in an hour, by default."""
    stage = Merge(MergePlan(PANE, {VIEW.name: VIEW}), shard=0, parts={}, beginning=0)
    series: set[bytes] = set()
    size = checkpoint = calls = 0
    began, each = time.perf_counter(), rate * 10
    for pane in range(names // each):
        entries = tuple(Entry(VIEW.name, (f"app-{pane}-{n}",), FIRST + pane, ONE) for n in range(each))
        frame = Frame("calls/0", {"calls": 1}, 0, 1, FIRST + pane + 1, pane + 1, PANE, entries)
        for message in stage.apply([Logged(pane, 0, frame.encode())]):
            size += len(message.value or b"")
            for point in decode(message.value or b""):
                if point.measurement == "llm_calls":
                    series.add("/".join(point.tags.values()).encode())
                    calls += point.counts["calls"] if point.tags["window"] == "10s" else 0
        checkpoint += sum(map(len, stage.snapshot().parts.values()))
    print(
        f"{calls:,} calls of as many names in {time.perf_counter() - began:.0f} s: {len(series):,} series in "
        f"the store, {size / 1e6:,.0f} MB of points, {checkpoint / 1e6:,.0f} MB of checkpoints, "
        f"{stage.series:,} series alive, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
