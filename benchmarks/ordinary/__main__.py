"""A year of ordinary weeks under the starter rules: false alarms, and how soon problems are found.

Four companies × weeks × seeds that were fixed beforehand. Each week has a rhythm of days and hours, a
weekend, bursts of one user, storms of errors, outages, slow hours, and new prompt versions that are no worse.
The first two weeks are learned from, and count. Then each of twelve problems happens by itself, on the Monday
between 8:00 and 17:00 UTC, with all else as before. All calls go through the stages of `llmvitals alerts
backtest`, whose alerts are those of the worker.

A false alarm is an episode of any rule that begins in the quiet weeks, but not in an outage or the hour
after it. A problem is found when one of its rules fires for its app. PASS: at most one false alarm a
company-week, and each problem found within its limit in nine of ten runs; with 500 calls a day, false alarms
only.

Without --seed it runs the first seed only, about 20 minutes on two cores; --all runs all sixteen. --random N
runs N random companies instead; their problems begin in the busiest hours of the largest app. The last line
is the verdict, and the exit code is 1 if it is FAIL.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from benchmarks.ordinary import table, trial
from benchmarks.ordinary.company import COMPANIES
from benchmarks.ordinary.problems import PROBLEMS
from rich.console import Console

SEEDS: Final = range(101, 117)
CALLS: Final = (20_000, 3_000, 500)
SMALL: Final = 1_000
"""With fewer calls a day the rules are those of alerts/small."""
PAGE: Final = Path(__file__).parents[2] / "docs" / "detection.md"
MARKS: Final = (
    "<!-- begin: python -m benchmarks.ordinary --docs -->",
    "<!-- end: python -m benchmarks.ordinary --docs -->",
)
RULES: Final = Path(__file__).parents[2] / "alerts"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ordinary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, action="append", help="a seed; may be repeated")
    parser.add_argument("--all", action="store_true", help="all sixteen seeds: a night")
    parser.add_argument("--calls", type=int, action="append", help="calls a day; may be repeated")
    parser.add_argument("--weeks", type=int, default=4, help="quiet weeks, at least 2")
    parser.add_argument("--company", action="append", choices=[one.name for one in COMPANIES])
    parser.add_argument("--random", type=int, default=0, metavar="N", help="so many random companies instead")
    parser.add_argument("--problem", action="append", choices=[one.name for one in PROBLEMS])
    parser.add_argument("--quiet", action="store_true", help="no problems: false alarms only")
    parser.add_argument("--rules", type=Path, help="a folder of rules instead of the starter rules")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    parser.add_argument("--docs", action="store_true", help="write the tables to docs/detection.md")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.weeks < trial.LEARNED // 7:
        parser.error("--weeks: at least 2, which are learned from")
    if given.random and given.company:
        parser.error("--random: it has companies of its own; leave --company out")
    return given


def plans(given: argparse.Namespace) -> list[tuple[int, int, trial.Plan]]:
    """Company, seed and plan of each trial; the long ones come first."""
    seeds = given.seed or (SEEDS if given.all else SEEDS[:1])
    names = given.company or [one.name for one in COMPANIES]
    numbers = [number for number, one in enumerate(COMPANIES) if one.name in names]
    if given.random:
        numbers = [len(COMPANIES) + number for number in range(given.random)]
    problems = () if given.quiet else tuple(given.problem or [one.name for one in PROBLEMS])
    return [
        (number, seed, trial.Plan(calls, given.weeks, given.rules or folder(calls), problems))
        for calls in sorted(given.calls or CALLS, reverse=True)
        for seed in seeds
        for number in numbers
    ]


def folder(calls: int) -> Path:
    """The starter rules for so many calls a day."""
    return RULES if calls >= SMALL else RULES / "small"


def write(tables: str) -> None:
    """Put the tables between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    PAGE.write_text(f"{head}{MARKS[0]}\n\n{tables}\n\n{MARKS[1]}{tail}", encoding="utf-8")


def main() -> None:
    """Run, print, write, judge."""
    given = arguments()
    wanted, began = plans(given), time.perf_counter()
    found = []
    with ProcessPoolExecutor(min(given.jobs, len(wanted)), max_tasks_per_child=1) as workers:
        for done in as_completed([workers.submit(trial.run, *one) for one in wanted]):
            found.append(done.result())
            after = f"after {time.perf_counter() - began:,.0f} s"
            print(f"{len(found)} of {len(wanted)}, {after}: {table.summary(found[-1])}", file=sys.stderr)
            sizes = table.rows(sorted(found, key=lambda one: (-one.calls, one.company, one.seed)))
            if given.json:  # after each trial, so that an interrupted run has told what it knows
                given.json.write_text(json.dumps(sizes, indent=1))
    console = Console(width=160)
    console.print(table.alarms_table(sizes))
    console.print()
    console.print(table.problems_table(sizes))
    if given.docs:
        write(table.markdown(sizes))
    line = table.verdict(sizes)
    print(line)
    sys.exit(0 if line.startswith("PASS") else 1)


if __name__ == "__main__":
    main()
