"""A request as a Flux script for InfluxDB 2.x and 1.8, and its answer."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from influxdb_client.rest import ApiException

from llmvitals.record.columns import CALLS
from llmvitals.window import SECOND
from llmvitals.write.client import BROKEN, connect, failure
from llmvitals.write.question import Sample

if TYPE_CHECKING:
    from llmvitals.settings import Settings
    from llmvitals.write.question import Number, Request

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:~ -]*")
_OURS: Final = frozenset(
    {"result", "table", "_start", "_stop", "_time", "_value", "_field", "_measurement", "view", "window"}
)


async def read(settings: Settings, request: Request) -> list[Sample]:
    """The samples that InfluxDB has, in no order. Raises SinkError with what to fix."""
    client = connect(settings)
    try:
        tables = await client.query_api().query(script(settings.influx_bucket, request))
    except (ApiException, *BROKEN) as error:
        raise failure(error, settings) from None
    finally:
        await client.close()  # type: ignore[no-untyped-call] # the package has no types here
    fields: dict[tuple[int, tuple[tuple[str, str], ...]], dict[str, Number]] = {}
    for table in tables:
        for record in table.records:
            values = record.values
            tags = tuple((key, text) for key, text in values.items() if key not in _OURS)
            start = round(values["_time"].timestamp()) * SECOND
            fields.setdefault((start, tags), {})[values["_field"]] = values["_value"]
    return [Sample(start, dict(tags), found) for (start, tags), found in fields.items()]


def script(bucket: str, request: Request) -> str:
    """The Flux script; every text in it is escaped."""
    wanted = " or ".join(f"r._field == {text(name)}" for name in request.fields)
    named = {"view": request.view, "window": request.window, **request.where}
    tags = "".join(f" and r[{text(key)}] == {text(value)}" for key, value in named.items())
    return (
        f"from(bucket: {text(bucket)})"
        f" |> range(start: {_time(request.since)}, stop: {_time(request.until)})"
        f" |> filter(fn: (r) => r._measurement == {text(CALLS)}{tags} and ({wanted}))"
    )


def text(value: str) -> str:
    r"""A Flux string literal, in which every byte that could mean something is written as `\xNN`.

    >>> print(text('a"${b}'))
    "a\x22\x24\x7bb\x7d"
    """
    if _PLAIN.fullmatch(value):
        return f'"{value}"'
    parts = (chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"\\x{byte:02x}" for byte in value.encode())
    return f'"{"".join(parts)}"'


def _time(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros % SECOND:06d}Z"
