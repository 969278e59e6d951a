"""The drift of series as charts, and their references as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.show import labelled, when
from llmvitals.cli.tables.plot import bars, columns
from llmvitals.metrics.quantity import span
from llmvitals.window import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from llmvitals.report.drift import Course, Found

FEW: Final = 0.3
"""The share of a new topic above which the calls are called too few."""
WITHIN: Final = "6 h"
WEEK: Final = 7 * DAY
MONTH: Final = 30 * DAY


def print_charts(seen: Found, console: Console) -> None:
    """Print a chart for each series."""
    if not seen.courses:
        console.print("No rule of drift has said anything in this time.")
    for course in seen.courses:
        console.print(title(course))
        console.print(head(course))
        drawn = course.of("statistic")
        if not drawn:
            console.print()
            continue
        width = max(min(console.width - 9, 120), 20)
        begin = max(seen.begin, min(at for at, _ in drawn) - MINUTE)
        end, limit = drawn[-1][0], course.newest.get("threshold") or 1.0
        for line in bars(columns(drawn, begin, end + 1, width), limit):
            console.print(line)
        left, right = when(begin), when(end)
        console.print(Text(f"       {left}{right.rjust(width - len(left))}\n", "dim"))


def title(course: Course) -> Text:
    """Return rule and series."""
    return Text.assemble((course.rule, "bold"), "  ", labelled(course.labels))


def head(course: Course) -> Text:
    """Return the newest statistics of a series."""
    fields = course.newest
    statistic = fields.get("statistic")
    if statistic is None:
        return Text(_learning(course))
    limit = fields.get("threshold") or 1.0
    colour = "red" if statistic > limit else "yellow" if statistic > 0.7 * limit else "green"
    return Text.assemble(
        (f"{statistic:.2f}", colour),
        f" of {limit:g} ({_heads(fields)})"
        f" · reference {span(round((fields.get('reference_age_s') or 0) * SECOND))} old,"
        f" {fields.get('reference_calls') or 0:,} calls of {_model(fields)}"
        f" · φ {fields.get('overdispersion') or 0:.2f}",
        *(f"\n{line}" for line in _sight(fields)),
    )


def _learning(course: Course) -> str:
    """How far the learning is, and how long it takes at this traffic."""
    fields, shares = course.newest, course.of("learned_share")
    text = f"learning, from {fields.get('reference_calls') or 0:,} calls so far of {_model(fields)}"
    if not shares:
        return text
    (begin, first), (end, last) = shares[0], shares[-1]
    text += f" · {last:.0%} done"
    if last <= first:
        return text
    left = round((1 - last) / (last - first) * (end - begin))
    few = "too few calls: " if left > MONTH else ""
    return f"{text}, {few}about {span(left)} more at this traffic"


def _heads(fields: Mapping[str, Any]) -> str:
    """The heads that look, each in units of its own limit."""
    return ", ".join(
        f"{name} {fields[name]:.2f}"
        if fields.get(name) is not None
        else f"{name} learns this hour of the week"
        for name in ("topics", "shape", "unusual")
        if name != "unusual" or fields.get(name) is not None
    )


def _sight(fields: Mapping[str, Any]) -> Iterator[str]:
    """What it can see at its traffic, and what its limits rest on."""
    share, learned = fields.get("visible_share"), fields.get("limits_learned_s")
    if share is not None and share > FEW:
        yield f"too few calls: only a new topic of more than {share:.0%} of them is found within {WITHIN}"
    elif share is not None:
        yield f"finds a new topic of {max(share, 0.01):.0%} of the calls within {WITHIN}"
    if learned:
        short = "" if learned * SECOND >= WEEK else ": too short to know the rarest hours of a month"
        yield f"limits rest on {span(round(learned * SECOND))} of calls{short}"


def print_references(seen: Found, console: Console) -> None:
    """Print a table of the references."""
    if not seen.courses:
        console.print("No rule of drift has said anything in this time.")
        return
    table = Table("rule", "series", "reference", "model", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("calls", "φ", "statistic", "threshold"):
        table.add_column(name, justify="right", no_wrap=True)
    for course in seen.courses:
        fields = course.newest
        there = fields.get("statistic") is not None
        age = span(round((fields.get("reference_age_s") or 0) * SECOND))
        table.add_row(
            Text(course.rule),
            labelled(course.labels),
            f"{age} old" if there else "learning",
            Text(_model(fields)),
            f"{fields.get('reference_calls') or 0:,}",
            f"{fields['overdispersion']:.2f}" if fields.get("overdispersion") is not None else "–",
            f"{fields['statistic']:.2f}" if there else "–",
            f"{fields.get('threshold') or 1.0:g}",
        )
    console.print(table)


def _model(fields: Mapping[str, Any]) -> str:
    return str(fields.get("model") or "an unknown model")
