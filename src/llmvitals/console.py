"""The terminal. Texts are printed as they are; colours are given as styles, never inside the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


def console(**options: Any) -> Console:
    """A rich console that reads neither markup nor emoji codes, which names, paths and errors may hold.

    options: as for rich's Console.
    """
    return Console(markup=False, emoji=False, **options)


def plain_table(*names: str, figures: Sequence[str] = (), last: Sequence[str] = ()) -> Table:
    """A table without lines: columns of texts, of figures, and the last ones of texts.

    Long words are broken, never cut; figures are not broken either.
    """
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        made.add_column(name, overflow="fold")
    for name in figures:
        made.add_column(name, justify="right", no_wrap=True)
    for name in last:
        made.add_column(name, overflow="fold")
    return made


def stacked(first: str, *others: str) -> Text:
    """The first line, and below it the others that are not empty, dim."""
    return Text.assemble(first, *((f"\n{other}", "dim") for other in others if other))
