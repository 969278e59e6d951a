"""The tables of docs/performance.md, from docs/performance.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import Json
from benchmarks.capacity import Model, needs
from benchmarks.table import HEAD, cells, number
from benchmarks.workers import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
FIGURES: Final = ROOT / "docs" / "performance.json"
BEGIN, END = "<!-- begin: python -m benchmarks.plots -->\n", "<!-- end: python -m benchmarks.plots -->\n"
SITES: Final = (
    "calls/s", "series", "partitions", "workers: combine + merge + sink", "cores", "memory, GB",
    "MB/s: calls + partials + vitals", "points/s",
)  # fmt: skip


def read(path: Path = FIGURES) -> list[Json]:
    """The rows of a JSON file of `python -m benchmarks`."""
    rows: list[Json] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def values(rows: Iterable[Json]) -> dict[str, float]:
    """The figures that could be measured, by name."""
    figures = {row["name"]: row.get("per_s", row.get("value")) for row in rows}
    return {name: value for name, value in figures.items() if value is not None}


def current(page: str, rows: Sequence[Json]) -> str:
    """The page with the tables of these rows between its marks: the figures, and the capacity model."""
    parts = page.split(BEGIN)
    after = [part.partition(END)[2] for part in parts[1:]]
    tables = (table(HEAD, cells(rows)), *capacity(values(rows)))
    if len(after) != len(tables):
        raise ValueError(f"{PAGE.name} has {len(after)} places for tables and needs {len(tables)}")
    return parts[0] + "".join(
        f"{BEGIN}\n{text}\n{END}{rest}" for text, rest in zip(tables, after, strict=True)
    )


def capacity(figures: dict[str, float]) -> tuple[str, str]:
    """The model beside what was measured, and what sites need; a sentence where figures are missing."""
    try:
        model = Model(figures)
    except KeyError as missing:
        text = f"Not computed: {missing} could not be measured.\n"
        return text, text
    checked = []
    for count in (1, 2):
        expected, measured = model.end_to_end(count), figures.get(f"end-to-end-{count}")
        share = f"{measured / expected:.2f}" if measured else ""
        checked.append(
            (f"{count}", number(expected), number(measured) if measured else "not measured", share)
        )
    head = ("workers a stage", "calls/s by the model", "calls/s measured", "measured / model")
    return table(head, checked), table(SITES, needs(model))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
