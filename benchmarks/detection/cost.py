"""What detection costs: of a call in combine's sums, of a series' pane, and in memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.detection.ours import LEARN, Drifts
from benchmarks.detection.traffic import Traffic

from llmvitals.sketch.space import space

if TYPE_CHECKING:
    from benchmarks.detection.pool import Pool

PANES: Final = 6
"""Panes of a minute."""


def run(pool: Pool, seed: int, panes: int) -> list[dict[str, Any]]:
    """All rows. panes: how many series-panes of 10 s to detect drift in."""
    vectors = pool.vectors[: 20 * 1_024]
    space(vectors.shape[1])
    began = time.perf_counter()
    space(vectors.shape[1]).images(vectors)
    images = time.perf_counter() - began
    drift, traffic, at = Drifts(pool, seed), Traffic(pool, seed), 0
    while drift.learning and at < 2 * LEARN:
        rows = traffic.minute(at)
        if len(rows):
            drift.breach(at, rows)
        at += 1
    minutes = [traffic.minute(at + n) for n in range(panes // PANES)]
    held = [(at + n, drift.vitals(rows)) for n, rows in enumerate(minutes) if len(rows)]
    began = time.perf_counter()
    for minute, vitals in held:
        drift.take(minute, vitals)
    took = time.perf_counter() - began
    return [
        {"name": "cost/drift/call", "microseconds": round(images / len(vectors) * 1e6, 2)},
        {"name": "cost/drift/series-panes", "panes": panes, "seconds": round(took, 3)},
        {"name": "cost/drift/series", "bytes": len(drift.remembered())},
    ]
