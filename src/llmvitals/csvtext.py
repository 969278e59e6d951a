"""CSV that a spreadsheet does not run: texts that it would take for formulas are written as texts."""

from __future__ import annotations

import csv
import io
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Cell = str | int | float | None

_FORMULA: Final = frozenset("=+-@")
_CONTROL: Final = ("\t", "\r", "\n")


def table(rows: Iterable[Iterable[Cell]]) -> str:
    r"""Rows as CSV, each ended by a newline; every text in them is `harmless`, numbers stay as they are.

    >>> table([("name", "change"), ("=1+1", -2.5)])
    "name,change\n'=1+1,-2.5\n"
    """
    return "".join(_line([harmless(cell) if isinstance(cell, str) else cell for cell in row]) for row in rows)


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula (as OWASP says).

    That is what begins with = + - @, also in their wide and small forms, perhaps after blanks and characters
    that are not seen, and what begins with a tab or an end of line.

    >>> harmless("＝HYPERLINK()"), harmless(" -1"), harmless("a-b")
    ("'＝HYPERLINK()", "' -1", 'a-b')
    """
    first = next((char for char in text if not _unseen(char)), "")
    if text.startswith(_CONTROL) or unicodedata.normalize("NFKC", first) in _FORMULA:
        return f"'{text}"
    return text


def _unseen(char: str) -> bool:
    """Whether it is a blank, a control or a format character, which are trimmed or ignored."""
    return char.isspace() or unicodedata.category(char)[0] in "CZ"


def _line(cells: Iterable[Cell]) -> str:
    out = io.StringIO()
    # With "\n" alone it would leave a carriage return unquoted, and what follows that would be a new row.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"
