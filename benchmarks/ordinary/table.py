"""The results of all trials as tables, and the verdict."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from benchmarks.ordinary.problems import PROBLEMS
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.ordinary.problems import Problem
    from benchmarks.ordinary.trial import Found

ALARMS: Final = 1.0
"""False alarms a company-week that are allowed, of all starter rules together."""
ENOUGH: Final = 0.9
"""The share of the runs in which a problem has to be found within its limit."""


def rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    """One for each number of calls a day: alarms a week, and each problem."""
    sizes = sorted({one.calls for one in found}, reverse=True)
    return [_size(calls, [one for one in found if one.calls == calls]) for calls in sizes]


def _size(calls: int, found: Sequence[Found]) -> dict[str, Any]:
    weeks = sum(one.weeks for one in found)
    alarms: Counter[str] = Counter()
    outages: Counter[str] = Counter()
    for one in found:
        alarms.update(one.alarms)
        outages.update(one.outages)
    return {
        "calls": calls,
        "weeks": weeks,
        "companies": sorted({one.company for one in found}),
        "seeds": sorted({one.seed for one in found}),
        "alarms_a_week": round(sum(alarms.values()) / max(weeks, 1), 3),
        "alarms": {rule: round(count / weeks, 3) for rule, count in alarms.most_common()},
        "outages": {rule: round(count / weeks, 3) for rule, count in outages.most_common()},
        "problems": {problem.name: _problem(problem, calls, found) for problem in PROBLEMS},
        "false": [
            {"company": one.company, "seed": one.seed, "day": day, "rule": rule, "series": series}
            for one in found
            for day, rule, series in one.seen
        ],
    }


def _problem(problem: Problem, calls: int, found: Iterable[Found]) -> dict[str, Any]:
    name = problem.name
    runs = {f"{one.company} {one.seed}": one.hours[name] for one in found if name in one.hours}
    hours = sorted(math.inf if hours is None else hours for hours in runs.values())
    seen = [hour for hour in hours if hour < math.inf]
    limit = problem.limit(calls)
    middle = hours[len(hours) // 2] if hours else math.inf
    return {
        "limit": limit,
        "runs": len(hours),
        "found": len(seen),
        "median": middle if middle < math.inf else None,
        "worst": seen[-1] if seen else None,
        "by": dict(Counter(one.by[name] for one in found if one.by.get(name)).most_common()),
        "missed": [run for run, hour in runs.items() if hour is None],
        "in_time": not hours or len(seen) >= ENOUGH * len(hours),
    }


def alarms_table(sizes: Sequence[dict[str, Any]]) -> Table:
    """False alarms of a company-week, by rule."""
    table = Table(box=None, title="false alarms a company-week", title_justify="left")
    table.add_column("rule")
    for size in sizes:
        table.add_column(f"{size['calls']:,} a day", justify="right")
    names = dict.fromkeys(name for size in sizes for name in size["alarms"])
    for name in names:
        table.add_row(name, *(f"{size['alarms'].get(name, 0):.2f}" for size in sizes))
    table.add_row("all", *(f"{size['alarms_a_week']:.2f}" for size in sizes))
    return table


def problems_table(sizes: Sequence[dict[str, Any]]) -> Table:
    """Hours until each problem is found: the median, and the share of the runs in which it was in time."""
    table = Table(box=None, title="hours until it is found, and runs in time", title_justify="left")
    table.add_column("problem")
    for size in sizes:
        table.add_column(f"{size['calls']:,} a day", justify="right")
    for problem in PROBLEMS:
        table.add_row(
            f"{problem.name}: {problem.text}", *(cell(size["problems"][problem.name]) for size in sizes)
        )
    return table


def cell(row: dict[str, Any]) -> str:
    """One problem at one size.

    >>> cell({"runs": 4, "found": 3, "median": 5.25, "limit": 24})
    '5.2 (3 of 4 in 24)'
    """
    if not row["runs"]:
        return "–"
    middle = "later" if row["median"] is None else f"{row['median']:.1f}"
    return f"{middle} ({row['found']} of {row['runs']} in {row['limit']})"


def summary(one: Found) -> str:
    """One trial in a line."""
    missed = [name for name, hours in one.hours.items() if hours is None]
    return (
        f"{one.company}, seed {one.seed}, {one.calls:,} calls a day: {sum(one.alarms.values())} false alarms "
        f"in {one.weeks} weeks, {len(one.hours) - len(missed)} of {len(one.hours)} problems in time"
        + (f" (not {', '.join(missed)})" if missed else "")
    )


def markdown(sizes: Sequence[dict[str, Any]]) -> str:
    """Both tables for docs/detection.md."""
    heads = [f"{size['calls']:,} calls a day" for size in sizes]
    weeks = ", ".join(f"{size['weeks']} at {size['calls']:,}" for size in sizes)
    seeds = ", ".join(map(str, sizes[0]["seeds"]))
    bar = "|---|" + "---|" * len(sizes)
    lines = [
        f"Company-weeks: {weeks} calls a day. Seeds: {seeds}.",
        "",
        "| problem | " + " | ".join(heads) + " |",
        bar,
    ]
    lines += [
        f"| {problem.text} | " + " | ".join(cell(size["problems"][problem.name]) for size in sizes) + " |"
        for problem in PROBLEMS
    ]
    lines += ["", "| false alarms a company-week | " + " | ".join(heads) + " |", bar]
    names = dict.fromkeys(name for size in sizes for name in size["alarms"])
    lines += [
        f"| {name} | " + " | ".join(f"{size['alarms'].get(name, 0):.2f}" for size in sizes) + " |"
        for name in names
    ]
    lines += ["| **all** | " + " | ".join(f"**{size['alarms_a_week']:.2f}**" for size in sizes) + " |"]
    return "\n".join(lines)


def verdict(sizes: Sequence[dict[str, Any]]) -> str:
    """One line: whether all that is asked for is kept."""
    words, right = [], True
    for size in sizes:
        tried = {name: row for name, row in size["problems"].items() if row["runs"]}
        late = [name for name, row in tried.items() if not row["in_time"]]
        fine = size["alarms_a_week"] <= ALARMS
        # With few calls a problem may be too small to be seen; docs/detection.md says which.
        right &= fine and (not late or size["calls"] < 3_000)
        words.append(
            f"{size['calls']:,} calls a day: {size['alarms_a_week']:.2f} false alarms a company-week, "
            f"{len(tried) - len(late)} of {len(tried)} problems in time"
            + (f" (not {', '.join(late)})" if late else "")
        )
    return f"{'PASS' if right else 'FAIL'}: {'; '.join(words)}"
