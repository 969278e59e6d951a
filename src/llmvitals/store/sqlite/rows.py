"""Points → rows of SQLite."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from llmvitals.store.series import REMEMBERED, Series, text

if TYPE_CHECKING:
    from llmvitals.store.points import PlacedPoint, Shape

Row: TypeAlias = "tuple[Shape, tuple[object, ...]]"


@lru_cache(maxsize=1_024)
def upsert(shape: Shape) -> str:
    """Return the statement that writes the rows of a shape: a newer row replaces the fields that it has."""
    news = ("upto", *shape.counts, *shape.measures, *shape.texts)
    columns = ("view", "window", "tags", "start", *news)
    return (
        f'INSERT INTO "{shape.measurement}" ({", ".join(map(_quoted, columns))}) '  # noqa: S608 - names of a Shape
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO UPDATE SET "
        f"{', '.join(f'{name} = excluded.{name}' for name in map(_quoted, news))} "
        'WHERE excluded."upto" >= "upto"'
    )


def row(placed: PlacedPoint) -> Row:
    """Return the row of a point: its shape, and the values in the order of the shape's statement."""
    point = placed.point
    return placed.shape, (
        *_key(placed.series),
        point.start,
        point.upto,
        *point.counts.values(),
        *point.measures.values(),
        *map(text, point.texts.values()),
    )


@lru_cache(maxsize=REMEMBERED)
def _key(series: Series) -> tuple[str, str, str]:
    """view, window, and the dimensions as JSON: keys sorted, nothing between, not escaped."""
    dimensions = {name: value for name, value in series.tags.items() if name not in ("view", "window")}
    tags = json.dumps(dimensions, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return series.tags.get("view", ""), series.tags.get("window", ""), tags


def _quoted(name: str) -> str:
    return f'"{name}"'
