"""`llmvitals query`: a question → a table, from InfluxDB or SQLite, the same answer from both."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rich.table import Table as Grid
from rich.text import Text

from llmvitals import csvtext
from llmvitals.console import console as terminal
from llmvitals.errors import ConfigError
from llmvitals.record.view import UNKNOWN
from llmvitals.store.influx import flux
from llmvitals.store.question import Number, Question, stored, understand
from llmvitals.store.sqlite import rows
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.settings import Settings

Cell = str | Number | None
Format = Literal["table", "json", "csv"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns: `time` (the window's start, ISO 8601, UTC), the dimensions, the metric; rows in this order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


async def query(settings: Settings, question: Question, *, clock: Callable[[], float] = time.time) -> Table:
    """Ask InfluxDB where one is set, else SQLite. A metric that does not exist at a point is None.

    Raises ConfigError for a wrong question and where no store is set, SinkError when the store says no.
    """
    request, by = understand(question, settings, int(clock() * SECOND))
    if settings.influx_url:
        samples = await flux.read(settings, request)
    elif settings.sqlite is not None:
        samples = await rows.read(settings.sqlite, request)
    else:
        raise ConfigError("No store is set: set LLMVITALS_SQLITE or LLMVITALS_INFLUX_URL (see `config show`)")
    if by is None:
        by = tuple(sorted({key for sample in samples for key in sample.tags}))
    dimensions = (*question.by, *(name for name in by if name not in question.by))
    metric, seconds = stored(question.metric), duration(question.window) / SECOND
    answer = [
        (
            sample.start,
            tuple(sample.tags.get(name, UNKNOWN) for name in dimensions),
            metric.value(sample.fields, seconds),
        )
        for sample in samples
    ]
    return Table(
        ("time", *dimensions, question.metric),
        tuple((_iso(start), *key, value) for start, key, value in sorted(answer, key=lambda row: row[:2])),
    )


def render(table: Table, form: Format) -> str:
    """The table as text, ended by a newline: for eyes (rounded), a JSON list of objects, or `csvtext`."""
    if form == "json":
        objects = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return json.dumps(objects, ensure_ascii=False, indent=1) + "\n"
    if form == "csv":
        return csvtext.table([table.columns, *table.rows])
    return _grid(table)


def _grid(table: Table) -> str:
    if not table.rows:
        return "Nothing there: no points of this view and window in this time.\n"
    grid = Grid(box=None, pad_edge=False)
    for name in table.columns[:-1]:
        grid.add_column(Text(name), no_wrap=True)
    grid.add_column(Text(table.columns[-1]), justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*(Text(_shown(cell)) for cell in row))
    width = 40 + max(sum(len(_shown(cell)) + 4 for cell in row) for row in (table.columns, *table.rows))
    out = io.StringIO()
    terminal(file=out, width=width, color_system=None).print(grid)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return "–" if cell is None else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.6g}"


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
