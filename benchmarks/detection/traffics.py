"""Our drift detector on other traffic and other vectors than those of the table.

`python -m benchmarks.detection.traffics --texts FILE.csv [--calls 2] [--bursty 0] [--ngrams] [--weekend 1]`:
one series learns, then nothing happens for `--days`, then come changes, each after hours of the usual. It
tells the alarms while nothing happens, and of each change the minutes to the first alarm.

--calls: a minute, in the mean. --bursty: the share of the calls that come in bursts. --ngrams: vectors of 384
numbers from hashed n-grams of characters (TF-IDF, random projection) instead of wordllama's. --weekend: on
Saturdays and Sundays comes a third of the calls, and the shares of 150 groups of near texts differ from those
of weekdays by factors whose logarithms have this standard deviation. The first day is a Thursday.
"""

from __future__ import annotations

import argparse
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from benchmarks.detection import pool as pools
from benchmarks.detection.calibrate import HOUR
from benchmarks.detection.ours import Drifts
from benchmarks.detection.texts import read
from benchmarks.detection.traffic import BURSTY, CALLS, DAY, Traffic

from llmvitals.stats import centroids
from llmvitals.window import MINUTE, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.detection.pool import Pool
    from numpy.typing import NDArray

CHANGES: Final = ("new-topic-5%", "new-topic-10%", "new-topic-20%")
GROUPS: Final = 150
QUIET: Final = 0.3
"""The share of the calls that comes on weekends."""
APART: Final = 517
BUCKETS: Final = 4_096


def ngrams(texts: list[str], width: int = 384) -> NDArray[np.float32]:
    """Vectors of length 1 (n × width)."""
    counts = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in enumerate(texts):
        padded = f" {text.lower()[:300]} "
        for size in (3, 4, 5):
            for at in range(len(padded) - size + 1):
                counts[row, zlib.crc32(padded[at : at + size].encode()) % BUCKETS] += 1
    rare = np.log(len(texts) / (1 + (counts > 0).sum(axis=0)))
    mixes = np.random.default_rng(7).standard_normal((BUCKETS, width))
    return centroids.units(np.log1p(counts) * np.maximum(rare, 0) @ mixes)


class Week:
    """The traffic of a series, with weekends that differ by `weekend`; 0: they don't."""

    def __init__(self, pool: Pool, given: argparse.Namespace) -> None:
        self._traffic = Traffic(pool, given.seed, calls=given.calls, bursty=given.bursty)
        self._dice, self._pool = np.random.default_rng(given.seed + 1_000), pool
        known, state = pool.vectors[: pool.known], {}
        for _ in range(4):
            centroids.gather(state, known[self._dice.permutation(pool.known)], GROUPS)
        middles = centroids.units(np.frombuffer(state["centroids"], "<f2").reshape(GROUPS, -1))
        weights = np.exp(given.weekend * self._dice.standard_normal(GROUPS))[
            (known @ middles.T).argmax(axis=1)
        ]
        self._kept = np.minimum(weights * QUIET / weights.mean(), 1.0) if given.weekend else None

    def minutes(
        self, start: int, count: int, change: str = "null", topic: int = 0
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The minutes with calls, and the rows of the pool."""
        for at in range(start, start + count):
            rows = self._traffic.minute(at, change, topic)
            if self._kept is not None and at // DAY % 7 in {2, 3}:
                known = np.minimum(rows % self._pool.texts, self._pool.known - 1)
                rows = rows[self._dice.random(len(rows)) < self._kept[known]]
            if len(rows):
                yield at, rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__.replace("%", "%%"), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=Path, required=True, help="a CSV with columns text and label")
    parser.add_argument("--calls", type=float, default=float(CALLS))
    parser.add_argument("--bursty", type=float, default=BURSTY)
    parser.add_argument("--weekend", type=float, default=0.0)
    parser.add_argument("--ngrams", action="store_true")
    parser.add_argument("--learn", default="2d")
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--runs", type=int, default=6, help="of each change")
    parser.add_argument("--horizon", type=int, default=500, help="minutes")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.ngrams:
        pools.embed = ngrams
    texts = pools.pool(read(given.texts, given.seed))
    week, drift = Week(texts, given), Drifts(texts, given.seed, duration(given.learn) // MINUTE)
    at = 0
    while drift.learning:
        for minute, rows in week.minutes(at, 1):
            drift.breach(minute, rows)
        at += 1
    print(f"learned in {at / DAY:.2f} days; {len(drift.remembered()):,} bytes of state")
    alarms, until = 0, -1
    for minute, rows in week.minutes(at, round(given.days * DAY)):
        if drift.breach(minute, rows) and minute >= until:
            alarms, until = alarms + 1, minute + HOUR
    print(f"alarms while nothing happened for {given.days:g} days: {alarms}")
    _tell(week, drift, at + round(given.days * DAY), given)


def _tell(week: Week, drift: Drifts, start: int, given: argparse.Namespace) -> None:
    memory, lead = drift.remembered(), 128 if given.calls > 10 else 600
    for change in CHANGES:
        delays = []
        for run in range(given.runs):
            drift.recall(memory)
            begin = start + run * APART
            for at, rows in week.minutes(begin, lead):
                drift.breach(at, rows)
            changed = week.minutes(begin + lead, given.horizon, change, given.seed * given.runs + run)
            first = next((at for at, rows in changed if drift.breach(at, rows)), math.inf)
            delays.append(min(first - begin - lead + 1, given.horizon))
        print(f"{change}: mean {np.mean(delays):.0f}, median {np.median(delays):.0f}, {sorted(delays)}")


if __name__ == "__main__":
    main()
