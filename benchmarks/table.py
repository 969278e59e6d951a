"""What was found as rows of JSON, and the rows as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from benchmarks.bench import Found, Json
from benchmarks.registry import FIGURES

HEAD: Final = ("name", "what", "figure", "× peer", "MB")


def rows(found: Mapping[str, Found]) -> list[Json]:
    """The rows of the JSON file, in the order of the table; a former name has a row, too.

    A rate has `per_s`, everything else `value`; null: it could not be measured, `note` says why. `ratio`: to
    the figure `beside`.
    """
    made: list[Json] = []
    for name, figure in FIGURES.items():
        if name in found:
            row = _row(found[name], found.get(figure.beside))
            made += [row, *([row | {"name": figure.former}] if figure.former else [])]
    return made


def _row(found: Found, beside: Found | None) -> Json:
    figure = FIGURES[found.name]
    row: Json = {"name": found.name, "per_s" if figure.rate else "value": found.value, "unit": figure.unit}
    if found.value is not None and beside is not None and beside.value:
        row |= {"beside": beside.name, "ratio": found.value / beside.value}
    if found.mb is not None:
        row["mb"] = found.mb
    return row | ({"note": found.note} if found.note else {})


def cells(rows: Iterable[Json]) -> Iterator[tuple[str, ...]]:
    """The cells of each row, as in HEAD; former names are left out."""
    for row in rows:
        if (figure := FIGURES.get(row["name"])) is not None:
            value = row["per_s"] if figure.rate else row["value"]
            unit = f"{figure.unit}/s" if figure.rate else figure.unit
            text = row.get("note", "") if value is None else f"{number(value)} {unit}"
            ratio = f"{number(row['ratio'])} × {row['beside']}" if "ratio" in row else ""
            yield figure.name, figure.text, text, ratio, f"{row['mb']:,.0f}" if "mb" in row else ""


def number(value: float) -> str:
    """Three digits or more.

    >>> number(63_123.4), number(3.14159), number(0.01234)
    ('63,123', '3.14', '0.0123')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
