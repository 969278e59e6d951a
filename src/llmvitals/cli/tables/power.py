"""Prints what rules can see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from llmvitals.backtest.show import labelled
from llmvitals.console import plain_table
from llmvitals.metrics.quantity import amount
from llmvitals.metrics.registry import metric_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from llmvitals.backtest.power import Seen

MOST: Final = 100
"""Rows that are shown."""


def print_power(found: Sequence[Seen], days: float | None, console: Console) -> None:
    """Print a row for each series of a rule, the busiest first; days: those that calls were read of."""
    if not found:
        console.print("No rule here says what it can see of these calls.")
        return
    figures = ("calls\na day", "usual", "in a\nday", "in a\nweek")
    table = plain_table("rule", "series", figures=figures, last=("",))
    table.columns[0].no_wrap = True
    notes = list(dict.fromkeys(seen.power.note for seen in found[:MOST] if seen.power.note))
    console.print("The smallest change that would be found in a day and in a week:")
    for seen in found[:MOST]:
        one = seen.power
        table.add_row(
            seen.rule,
            labelled(seen.labels),
            f"{one.calls:,.0f}",
            _base(one.metric, one.base),
            _change(one.day),
            _change(one.week),
            Text("*" * (notes.index(one.note) + 1) if one.note else "", style="yellow"),
        )
    console.print(table)
    for place, note in enumerate(notes, 1):
        console.print(Text(f"{'*' * place} {note}", style="yellow"))
    if len(found) > MOST:
        console.print(f"… and {len(found) - MOST:,} more: --json has all")
    if days is not None and days < 1:
        console.print(f"These calls span {days * 24:.1f} hours: a day of them is a guess.", style="yellow")


def _base(metric: str, value: float) -> str:
    try:
        return amount(value, metric_of(metric).unit)
    except (KeyError, ValueError):
        return f"{value:.3g}"


def _change(change: float | None) -> str:
    """A change as people read it.

    >>> _change(0.426), _change(-0.1), _change(None)
    ('+43%', '−10%', '–')
    """
    if change is None:
        return "–"
    return f"{'−' if change < 0 else '+'}{abs(change):.0%}"
