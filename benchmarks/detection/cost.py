"""What detection costs: of a call in combine's sums, of a series' pane of 10 s in merge, and in memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from benchmarks.detection.ours import meant

from llmvitals.record.vitals import Vitals, merged
from llmvitals.rules.engine import load_engine
from llmvitals.sketch import counters, quantiles
from llmvitals.sketch.random_features import space
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from benchmarks.detection.pool import Pool

PANE: Final = 10 * SECOND
CALLS: Final = 8
"""Of a pane."""
LEARN: Final = 720
"""Panes before anything is measured: drift is told to learn for an hour, so that it has a reference then."""
START: Final = 172_800_000
DIFFERENT: Final = 200
RULES: Final = {
    "drift": "{by: [app], learn: 1h}",
    "canary": "{on: prompt_version, by: [app]}",
    "regression": "{metric: error_share, by: [app], against: days}",
    "change": "{by: [app]}",
}


def run(pool: Pool, seed: int, panes: int) -> list[dict[str, Any]]:
    """All rows. panes: how many of a series each kind of rule looks at."""
    rows: list[dict[str, Any]] = [{"name": "cost/drift/call", "microseconds": round(_images(pool), 2)}]
    dice = np.random.default_rng(seed)
    different = [_vitals(pool, dice) for _ in range(DIFFERENT)]
    for kind, rule in RULES.items():
        took, size = _watched(kind, rule, different, panes)
        rows.append(
            {
                "name": f"cost/{kind}/series-panes",
                "panes": panes,
                "seconds": round(took, 3),
                "bytes_per_series": size,
            }
        )
    total = {key: sum(row[key] for row in rows[1:]) for key in ("seconds", "bytes_per_series")}
    rows.append({"name": "cost/all/series-panes", "panes": panes, **total})
    return rows


def _watched(kind: str, rule: str, different: list[Vitals], panes: int) -> tuple[float, int]:
    """Seconds of processor time for so many panes of a series, handed in one by one; bytes of its state."""
    text = f"groups:\n- name: bench\n  rules:\n  - alert: Bench\n    {kind}: {rule}\n"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(text)
        engine = load_engine(Path(folder), PANE)
    state: dict[str, Any] = {}
    view, began = engine.rules.rules[0].view, 0.0
    for n in range(LEARN + panes):
        if n == LEARN:
            began = time.process_time()
        closed = [(START + n, different[n % len(different)])]
        engine.advance(view, ("bench",), state, floor=START + n + 1, closed=closed)
    return time.process_time() - began, len(msgspec.msgpack.encode(state))


def _images(pool: Pool) -> float:
    """µs of processor time a vector: both images of it, which combine then adds up."""
    vectors = pool.vectors[:20_000]
    place = space(vectors.shape[1])
    place.images(vectors[:1_000])
    began = time.process_time()
    place.images(vectors)
    return (time.process_time() - began) / len(vectors) * 1e6


def _vitals(pool: Pool, dice: np.random.Generator) -> Vitals:
    """A pane of calls of two prompt versions, with everything that the rules read."""
    arms = {version: _arm(dice, calls) for version, calls in (("v1", CALLS - 1), ("v2", 1))}
    rows = dice.integers(pool.texts, size=CALLS)
    whole = merged(list(arms.values()))
    return Vitals(whole.sums, whole.maxima, whole.bins, meaning=meant(pool, rows, dice, 1), arms=arms)


def _arm(dice: np.random.Generator, calls: int) -> Vitals:
    latencies = dice.lognormal(6.5, 0.5, calls)
    keys, counts = np.unique(quantiles.bin_keys("latency_ms", latencies), return_counts=True)
    logs = dice.normal(0, 1, calls)
    sums = {
        "calls": calls,
        "errors": int(dice.binomial(calls, 0.02)),
        "latency_count": calls,
        "latency_us": int(latencies.sum() * 1_000),
        "priced_calls": calls,
        "cost_nano": int(np.exp(logs).sum() * 1e6),
        "usage_calls": calls,
        "input_tokens": 500 * calls,
        "output_tokens": 100 * calls,
    }
    return Vitals(
        tuple(sums.get(name, 0) for name in counters.SUMS),
        (0,) * len(counters.MAXIMA),
        (keys.astype(np.uint16), counts.astype(np.int64)),
    )
