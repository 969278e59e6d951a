"""How a point is written, field by field: what the stores' quick ways are compared with."""

from __future__ import annotations

import json
import math
import re

from llmvitals.record.point import Point
from llmvitals.store.series import tag, text


def plain_tags(point: Point) -> dict[str, str]:
    """The tags as they are written, sorted by key."""
    return {tag(key): tag(value) for key, value in sorted(point.tags.items())}


def plain_place(point: Point) -> tuple[object, ...]:
    """Measurement, tags and start: of two points at one place only the newer one is written."""
    return (point.measurement, *plain_tags(point).items(), point.start)


def plain_line(point: Point) -> str:
    """The line of InfluxDB's line protocol; floats as Python writes them."""
    fields = [f"{key}={value}i" for key, value in point.counts.items()]
    fields += [f"{key}={float(value)!r}" for key, value in point.measures.items() if math.isfinite(value)]
    fields += [f'{key}="{_quoted(value)}"' for key, value in point.texts.items()]
    tags = "".join(f",{_escape(key)}={_escape(value)}" for key, value in plain_tags(point).items())
    return f"{point.measurement}{tags} {','.join(fields)} {point.start * 1_000}"


def plain_row(point: Point) -> dict[str, object]:
    """Column → value of SQLite."""
    tags = plain_tags(point)
    return {
        "view": tags.pop("view", ""),
        "window": tags.pop("window", ""),
        "start": point.start,
        "tags": json.dumps(tags, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        "upto": point.upto,
        **point.counts,
        **{name: float(value) for name, value in point.measures.items() if math.isfinite(value)},
        **{name: text(value) for name, value in point.texts.items()},
    }


def _escape(value: str) -> str:
    return re.sub(r"([,= ])", r"\\\1", value)


def _quoted(value: str) -> str:
    return text(value).replace("\\", "\\\\").replace('"', '\\"')
