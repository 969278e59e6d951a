"""The answer to a query, and the outcome of `llmvitals replay`, as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from llmvitals.console import console as terminal
from llmvitals.console import plain_table
from llmvitals.metrics.quantity import amount
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from rich.console import Console

    from llmvitals.backtest.replay import Outcome
    from llmvitals.store.query import Cell
    from llmvitals.store.query import Table as Answer


def grid(answer: Answer) -> str:
    """Return the answer as a text that ends with a newline; numbers are rounded, and no line is cut."""
    if not answer.rows:
        return "Nothing there: no points of this view and window in this time.\n"
    table = Table(box=None, pad_edge=False)
    for name in answer.columns[:-1]:
        table.add_column(Text(name), no_wrap=True)
    table.add_column(Text(answer.columns[-1]), justify="right", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(Text(_text(cell)) for cell in row))
    width = 40 + max(sum(len(_text(cell)) + 4 for cell in row) for row in (answer.columns, *answer.rows))
    out = StringIO()
    terminal(file=out, width=width, color_system=None).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return "–" if cell is None else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.6g}"


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the counts, a row for each day and app, and the alerts."""
    names = ("in", "applied", "duplicate", "dead_lettered", "filtered", "late")
    console.print(" · ".join(f"{outcome[name]:,} {name.replace('_', '-')}" for name in names))
    for code, count in outcome["dead_letters"].items():
        console.print(f"{count:,} could not be read: {code}", style="yellow")
    table = plain_table(
        "day", "app", figures=("calls", "errors", "input tokens", "output tokens", "p95", "cost")
    )
    for row in (row for row in outcome["series"] if row["view"] == "app"):
        slow = row.get("latency_ms_p95")
        table.add_row(
            row["day"],
            row["by"].get("app", ""),
            f"{row['calls']:,}",
            f"{row['errors']:,}",
            f"{row['input_tokens']:,}",
            f"{row['output_tokens']:,}",
            "" if slow is None else amount(slow, "ms"),
            amount(row["cost_usd"], "usd"),
        )
    console.print(table)
    if outcome["late"]:
        console.print(
            f"{outcome['late']:,} calls were late, and are counted in a later window than their own: "
            "sort the file by ts to see each in its own",
            style="yellow",
        )
    totals = outcome["totals"]
    console.print(
        f"{totals['calls']:,} calls, ${totals['cost_usd']:,.6f}, {totals['unpriced_calls']:,} unpriced"
    )
    for alert in outcome["alerts"]:
        labels = ", ".join(f"{name} {value}" for name, value in alert["labels"].items())
        words = (alert["status"], alert["rule"], alert["facet"], alert["level"], labels)
        console.print(_clock(alert["at"]), *filter(None, words))


def print_messages(outcome: Outcome, console: Console) -> None:
    """Print what people would read, in the order of time."""
    for told in outcome["messages"]:
        console.print(Text(f"{_clock(told['at'])}  {told['channel']}  {told['what']}", style="dim"))
        console.print(Text(told["text"]), soft_wrap=True)
        console.print()
    console.print(f"{len(outcome['messages']):,} messages and replies", style="dim")


def _clock(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / SECOND, UTC):%Y-%m-%d %H:%M:%S}"
