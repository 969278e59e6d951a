"""The answer to a query as a table."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from llmvitals.console import console as terminal

if TYPE_CHECKING:
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
