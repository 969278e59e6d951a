"""Our detectors beside the baselines that people use today, at equal rates of false alarms.

`python -m benchmarks.detection --texts FILE.csv [--json OUT.json]`: texts with topics (columns text and
label) become simulated traffic of 50 calls a minute: bursty, with a daily rhythm of volume and topics, with
outages. The rarest sixth of the topics is held out and comes in as what is new. Each detector learns two
days; then come minutes in which nothing happens, and then many changes, each after two hours of the usual.

Changes: new-topic-p%: so many of the calls are of a held-out topic, another one in each run; new-topics-10%:
of all held-out topics together, which is harder. spread: vectors are drawn towards their mean to 0.7 of their
distance. loop: 40 texts make up 30 % of the calls. delay_panes: minutes with calls from the change to the
first alarm, the first of them being 1; a run without an alarm in 500 minutes counts as 500, and `never` says
that none had one. alarms_per_30000: while nothing happens; an alarm that lasts is counted once an hour.

A baseline's delay is with the best of its windows of up to 16 minutes; rows that end with -long are with the
best of up to 128 minutes, chosen for each change when all is known, as nobody can choose it. In both its
limit is the lower one of that from its day of calibration and that which all that was seen while nothing
happened gives in hindsight.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.detection import canary, cost, table, world
from benchmarks.detection.pool import Pool, pool
from benchmarks.detection.texts import read

WORLDS = 4
FULL = world.Plan(null=7_500, thin=2_500, runs=6)
QUICK = world.Plan(null=240, thin=240, runs=1)


def measure(texts: Pool, seed: int, *, quick: bool) -> list[dict[str, Any]]:
    """All rows."""
    plan, count = (QUICK, 1) if quick else (FULL, WORLDS)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, count)) as workers:
        worlds = [workers.submit(world.run, texts, seed + n, plan) for n in range(count)]
        arms = workers.submit(canary.run, seed, 20 if quick else 600, 2 if quick else 200)
        drift = table.rows([each.result() for each in worlds])
        found = [*drift, *arms.result()]
    return [*found, *cost.run(texts, seed, 600 if quick else 10_000)]


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection",
        description=__doc__.replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--texts", type=Path, required=True, help="a CSV with columns text and label")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few runs: seconds, for tests")
    given = parser.parse_args()
    texts = read(given.texts, given.seed)
    world.progress(
        f"{len(texts.texts)} texts; new will be {len(texts.held_out)} of "
        f"{len(texts.held_out) + len(texts.sizes)} topics: {', '.join(texts.held_out)[:300]}"
    )
    rows = measure(pool(texts), given.seed, quick=given.quick)
    table.show(rows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
