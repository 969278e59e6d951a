"""Measures the cost of embeddings in combine: `python -m benchmarks.embedding [calls] [dimension]`.

The same log, whose calls bring a vector in base64, goes through the whole stage with and without a view whose
rule asks for drift by app; in turns, and the median of the differences is told. Processor time, with one
thread, as stages run.
"""

from __future__ import annotations

import base64
import gc
import os
import random
import statistics
import sys
import time
import tracemalloc

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
from benchmarks.combine import BATCH, START, VIEWS, event

from llmvitals.combine import Combine, CombinePlan
from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.log import Logged
from llmvitals.record.native import DECODER
from llmvitals.record.view import View

DRIFT = View("rule:app", ("app",), meaning=True)
TURNS = int(os.environ.get("TURNS", "5"))
SERIES = 30


def log(count: int, dimension: int, per_second: int = 5_000) -> list[Logged]:
    """A log of calls with vectors, in the order of time."""
    dice, rng = random.Random(7), np.random.default_rng(7)
    vectors = [
        base64.b64encode(vector.astype("<f4").tobytes()).decode()
        for vector in rng.standard_normal((2_000, dimension))
    ]
    records = []
    for number in range(count):
        at = START + number * 1_000 // per_second
        call = event(dice, number, at - dice.randrange(5_001))
        call["embedding"] = {"model": "wordllama", "vector": dice.choice(vectors)}
        records.append(Logged(number, at, msgspec.json.encode(call)))
    return records


def run(records: list[Logged], views: tuple[View, ...]) -> tuple[float, float]:
    """µs a call, bytes of frames a call."""
    plan = CombinePlan(
        decode=decode, native=DECODER.decode, assess=Prices().assess_all, views=views, shards=4,
        disorder_us=10_000_000,
    )  # fmt: skip
    stage = Combine(plan, source="calls/0", sources={"calls": 1}, parts={}, beginning=0)
    gc.collect()
    gc.freeze()
    size, began = 0, time.process_time()
    for at in range(0, len(records), BATCH):
        size += sum(len(message.value or b"") for message in stage.apply(records[at : at + BATCH]))
        stage.delivered(stage.mark())
    size += sum(len(message.value or b"") for message in stage.finish())
    took = time.process_time() - began
    if stage.counters["applied"] != len(records):
        raise SystemExit(f"lost calls: {stage.counters}")
    return took / len(records) * 1e6, size / len(records)


def memory(records: list[Logged]) -> float:
    """Bytes that the sums of a series take in an open pane, beyond what calls that wait take."""
    held = []
    for views in (VIEWS, (*VIEWS, DRIFT)):
        plan = CombinePlan(decode=decode, native=DECODER.decode, assess=Prices().assess_all, views=views)
        stage = Combine(plan, source="calls/0", sources={"calls": 1}, parts={}, beginning=0)
        tracemalloc.start()
        stage.apply(records[:BATCH])
        stage.flush()  # adds up what waits, for there are eager views
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return (held[1] - held[0]) / SERIES


def main() -> None:
    """Print the cost."""
    given = [int(text) for text in sys.argv[1:]]
    count, dimension = (*given, *(60_000, 256)[len(given) :])
    records = log(count, dimension)
    run(records[: 10 * BATCH], (*VIEWS, DRIFT))
    plain, embedded = zip(
        *[(run(records, VIEWS), run(records, (*VIEWS, DRIFT))) for _ in range(TURNS)], strict=True
    )
    cost = statistics.median(much[0] - little[0] for little, much in zip(plain, embedded, strict=True))
    print(f"{count:,} calls with vectors of {dimension} numbers, median of {TURNS} turns:")
    print(f"  {statistics.median(one[0] for one in plain):6.2f} µs a call without drift")
    print(f"  {statistics.median(one[0] for one in embedded):6.2f} µs a call with drift by app")
    print(f"  {cost:6.2f} µs a call is what embeddings cost")
    print(f"  {embedded[0][1] - plain[0][1]:6.1f} bytes of frames a call more")
    print(f"  {memory(records):6.0f} bytes a series in an open pane")


if __name__ == "__main__":
    main()
