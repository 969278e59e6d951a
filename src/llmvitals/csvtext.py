"""CSV that is safe to open in a spreadsheet: a text that looks like a formula stays a text."""

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
    """The text, with an apostrophe before it if a spreadsheet would run it as a formula (after OWASP).

    Such a text begins with a tab or an end of line; or with = + - @ or one of their wide and small forms,
    perhaps after blanks and invisible characters.

    >>> harmless("＝HYPERLINK()"), harmless(" -1"), harmless("a-b")
    ("'＝HYPERLINK()", "' -1", 'a-b')
    """
    first = next((char for char in text if not _invisible(char)), "")
    if text.startswith(_CONTROL) or unicodedata.normalize("NFKC", first) in _FORMULA:
        return f"'{text}"
    return text


def _invisible(char: str) -> bool:
    """Whether it is a blank, a control or a format character; spreadsheets trim or ignore these."""
    return char.isspace() or unicodedata.category(char)[0] in "CZ"


def _line(cells: Iterable[Cell]) -> str:
    out = io.StringIO()
    # With "\n" the writer would not quote a carriage return, and readers would begin a new row at it.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"
