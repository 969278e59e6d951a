"""`llmvitals query`: a question → a table, the same from every store."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from llmvitals import csvtext
from llmvitals.record.view import UNKNOWN
from llmvitals.store.question import Number, Question, stored, understand
from llmvitals.store.registry import store_reader
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.settings import Settings

Cell = str | Number | None
Format = Literal["json", "csv"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns: `time` (the window's start, ISO 8601, UTC), the dimensions, the metric; rows in this order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


async def query(settings: Settings, question: Question, *, clock: Callable[[], float] = time.time) -> Table:
    """Ask the first configured store. A metric that does not exist at a point is None.

    Raises ConfigError for a wrong question and where no store is set, SinkError when it can't be read.
    """
    request, by = understand(question, settings, int(clock() * SECOND))
    samples = await store_reader(settings).samples(request)
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
    """The table for programs, ended by a newline: a JSON list of objects, or CSV (see `csvtext`)."""
    if form == "json":
        objects = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return json.dumps(objects, ensure_ascii=False, indent=1) + "\n"
    return csvtext.table([table.columns, *table.rows])


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
