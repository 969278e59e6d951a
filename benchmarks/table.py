"""What was found as rows of JSON, and the rows as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from benchmarks.bench import Json, Result
from benchmarks.registry import FIGURES

HEAD: Final = ("name", "what", "figure", "× peer", "MB")


def rows(results: Mapping[str, Result]) -> list[Json]:
    """The rows of the JSON file, in the order of the table; a former name has a row, too.

    A rate has `per_s`, everything else `value`; null: it could not be measured, `note` says why. `ratio`: to
    the figure `beside`.
    """
    listed: list[Json] = []
    for name, figure in FIGURES.items():
        if name in results:
            row = _row(results[name], results.get(figure.beside))
            listed += [row, *([row | {"name": figure.former}] if figure.former else [])]
    return listed


def _row(result: Result, beside: Result | None) -> Json:
    figure = FIGURES[result.name]
    row: Json = {"name": result.name, "per_s" if figure.rate else "value": result.value, "unit": figure.unit}
    if result.value is not None and beside is not None and beside.value:
        row |= {"beside": beside.name, "ratio": result.value / beside.value}
    if result.mb is not None:
        row["mb"] = result.mb
    return row | ({"note": result.note} if result.note else {})


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
    """Three digits or more."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
