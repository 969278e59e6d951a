"""What other prices make of past calls, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.console import console as terminal
from llmvitals.console import plain_table
from llmvitals.metrics.quantity import amount
from llmvitals.wording import clean

if TYPE_CHECKING:
    from llmvitals.audit.reprice import Repriced, Repricing

_NANO: Final = 1e9
_COLUMNS: Final = ("calls", "old", "new", "change")
_ROWS: Final = 100
"""Rows that are listed; `--json` has all."""


def plain(row: Repriced) -> dict[str, Any]:
    """A row for programs: costs in dollars."""
    fields: dict[str, Any] = msgspec.to_builtins(row)
    old, new = fields.pop("old"), fields.pop("new")
    return fields | {"old_usd": old / _NANO, "new_usd": new / _NANO}


def print_repriced(repricing: Repricing, refused: int) -> None:
    """Print the sums by team and by model, and a row for each team, model and day."""
    console, total, rows = terminal(), repricing.total(), repricing.changed()
    console.print(
        f"{total.calls:,} calls, {total.changed:,} cost something else: {_dollars(total.old)} → "
        f"{_dollars(total.new)} ({_change(total)}); {total.unpriced_before:,} → {total.unpriced_after:,} "
        "without a price"
    )
    if refused:
        console.print(f"{refused:,} records or items could not be read", style="yellow")
    if not rows:
        return
    for name in ("team", "model"):
        table = plain_table(name, figures=_COLUMNS)
        for value, row in sorted(repricing.by(name).items(), key=lambda pair: pair[0]):
            table.add_row(clean(value, 80), *_figures(row))
        console.print(table)
    table = plain_table("day", "team", "model", figures=_COLUMNS)
    for row in rows[:_ROWS]:
        table.add_row(row.day, clean(row.team, 80), clean(row.model, 80), *_figures(row))
    console.print(table)
    if len(rows) > _ROWS:
        console.print(f"{len(rows) - _ROWS:,} more rows: --json has them")


def _figures(row: Repriced) -> tuple[str, str, str, str]:
    return f"{row.calls:,}", _dollars(row.old), _dollars(row.new), _change(row)


def _dollars(nano: int) -> str:
    return amount(nano / _NANO, "usd")


def _change(row: Repriced) -> str:
    return f"{row.new / row.old - 1:+.1%}" if row.old else "–" if not row.new else "new"
