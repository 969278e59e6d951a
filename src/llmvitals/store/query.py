"""What commands read, the same from every store: a metric as a table, and past changes of alerts."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from llmvitals import csvtext
from llmvitals.metrics.columns import ALERTS, MEASURES, TEXTS
from llmvitals.record.view import UNKNOWN
from llmvitals.store.question import Number, Question, stored, understand
from llmvitals.store.registry import store_reader
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmvitals.settings import Settings

Cell = str | Number | None
Format = Literal["json", "csv"]

_TAGS: Final = ("rule", "kind", "severity", "state", "fingerprint", "facet")


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


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one alert's state; see metrics/columns. at: µs."""

    at: int
    rule: str
    kind: str
    severity: str
    state: str
    fingerprint: str
    facet: str
    episode: str
    level: str
    by: str
    value: float
    limit: float
    unit: str
    seconds: float
    labels: Mapping[str, str]
    peak: float | None = None


async def changes(settings: Settings, since: int, until: int) -> list[Change]:
    """All changes with since ≤ at < until (µs), in the order of their times.

    Reads the first configured store. Raises ConfigError where there is none, SinkError when it can't be read.
    """
    points = await store_reader(settings).points(ALERTS, since, until)
    found = [_change(start, tags, fields) for start, tags, fields in points]
    return sorted(found, key=lambda change: (change.at, change.rule, change.fingerprint, change.state))


def _change(at: int, tags: Mapping[str, str], fields: Mapping[str, Any]) -> Change:
    """A change; a field that an older point lacks is empty."""
    values: dict[str, Any] = {name: tags.get(name, "") for name in _TAGS}
    values |= {name: float(fields.get(name) or 0.0) for name in MEASURES[ALERTS]}
    values["peak"] = float(fields.get("peak", values["value"]))
    values |= {name: fields.get(name) or "" for name in TEXTS[ALERTS]}
    return Change(at=at, **{**values, "labels": _labels(values["labels"])})


def _labels(text: str) -> dict[str, str]:
    try:
        labels = json.loads(text or "{}")
    except ValueError:  # a text field is cut at 1,024 characters
        return {}
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}
