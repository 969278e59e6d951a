"""Reads points with Flux scripts, from InfluxDB 2.x and 1.8."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from llmvitals.errors import SinkError
from llmvitals.store.influx.client import BROKEN, connect, failure, refused
from llmvitals.store.protocol import StoredPoint
from llmvitals.store.question import Sample
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmvitals.store.influx.client import InfluxSettings
    from llmvitals.store.question import Number, Request

_SAFE: Final = re.compile(r"[A-Za-z0-9_./:~ -]*")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: Final[dict[str, Callable[[str], Number | str]]] = {"long": int, "string": str}
_NOT_TAGS: Final = frozenset(
    {"", "result", "table", "_start", "_stop", "_time", "_value", "_field", "_measurement", "view", "window"}
)


async def samples(settings: InfluxSettings, request: Request) -> list[Sample]:
    """See `Store.samples`."""
    found = await run(settings, script(settings.bucket, request))
    # InfluxDB 1.8 takes `stop` to be inside.
    return [
        Sample(start, tags, {name: value for name, value in fields.items() if not isinstance(value, str)})
        for start, tags, fields in found
        if start < request.until
    ]


async def points(settings: InfluxSettings, measurement: str, since: int, until: int) -> list[StoredPoint]:
    """See `Store.points`."""
    found = await run(settings, whole(settings.bucket, measurement, since, until))
    return [point for point in found if point.start < until]


async def run(settings: InfluxSettings, query: str) -> list[StoredPoint]:
    """Run a Flux script. Raises SinkError that says what to fix."""
    client = connect(settings)
    try:
        answer = await client.query_api().query_raw(query)
    except (refused(), *BROKEN) as error:
        raise failure(error, settings) from None
    finally:
        await client.close()  # type: ignore[no-untyped-call] # the package has no types here
    fields: dict[tuple[int, tuple[tuple[str, str], ...]], dict[str, Number | str]] = {}
    for kind, row in records(answer):
        if "error" in row:
            raise SinkError(f"InfluxDB could not answer: {row['error'][:256]}", retry=True)
        tags = tuple((key, value) for key, value in row.items() if key not in _NOT_TAGS and value)
        start = (datetime.fromisoformat(row["_time"]) - _EPOCH) // timedelta(microseconds=1)
        fields.setdefault((start, tags), {})[row["_field"]] = _TYPES.get(kind, float)(row["_value"])
    return [StoredPoint(start, dict(tags), values) for (start, tags), values in fields.items()]


def records(answer: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of an annotated CSV answer: the type of `_value`, and column → text."""
    kinds: list[str] = []
    header: list[str] = []
    # Not by lines of the text: a quoted value may hold an end of line.
    for cells in csv.reader(io.StringIO(answer, newline="")):
        if not any(cells):
            header = []
        elif cells[0] == "#datatype":
            kinds, header = cells, []
        elif cells[0].startswith("#"):
            continue
        elif not header:
            header = cells
        else:
            row = dict(zip(header, cells, strict=False))
            yield (kinds[header.index("_value")] if kinds and "_value" in header else ""), row


def script(bucket: str, request: Request) -> str:
    """The Flux script of a request; every text in it is escaped."""
    wanted = " or ".join(f"r._field == {text(name)}" for name in request.fields)
    place = {"view": request.view, "window": request.window}
    named = {name: value for name, value in place.items() if value} | dict(request.where)
    tags = "".join(f" and r[{text(key)}] == {text(value)}" for key, value in named.items())
    return (
        f"from(bucket: {text(bucket)})"
        f" |> range(start: {_time(request.since)}, stop: {_time(request.until)})"
        f" |> filter(fn: (r) => r._measurement == {text(request.measurement)}{tags} and ({wanted}))"
    )


def whole(bucket: str, measurement: str, since: int, until: int) -> str:
    """The Flux script for everything of a measurement, since ≤ time < until (µs)."""
    return (
        f"from(bucket: {text(bucket)})"
        f" |> range(start: {_time(since)}, stop: {_time(until)})"
        f" |> filter(fn: (r) => r._measurement == {text(measurement)})"
    )


def text(value: str) -> str:
    r"""A Flux string literal, in which every byte that could mean something is written as `\xNN`.

    >>> print(text('a"${b}'))
    "a\x22\x24\x7bb\x7d"
    """
    if _SAFE.fullmatch(value):
        return f'"{value}"'
    parts = (chr(byte) if _SAFE.fullmatch(chr(byte)) else f"\\x{byte:02x}" for byte in value.encode())
    return f'"{"".join(parts)}"'


def _time(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros % SECOND:06d}Z"
