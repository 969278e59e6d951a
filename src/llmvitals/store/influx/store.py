"""Points → InfluxDB 1.8, 2.x or 3, one request per batch, each answer decided here.

The client's batching mode gives up after its retry limit without a word and queues without bound, so only
its transport is used.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from llmvitals.store.influx import flux
from llmvitals.store.influx.client import (
    BROKEN,
    LINE_FAULTS,
    InfluxSettings,
    code,
    connect,
    failure,
    message,
    refused,
)
from llmvitals.store.influx.lines import line
from llmvitals.store.points import Counts, Newest
from llmvitals.store.protocol import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings
    from llmvitals.store.protocol import Check, StoredPoint
    from llmvitals.store.question import Request, Sample

log: Final = structlog.get_logger(__name__)

LINES: Final = 5_000
"""Lines of one request, at most: what InfluxData recommends."""
_DROPPED: Final = re.compile(r"dropped=(\d+)")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What InfluxDB said about the lines themselves: 2xx, 400, 413 or 422."""

    status: int
    reason: str = ""

    @property
    def dropped(self) -> int | None:
        """How many lines were not written, where the rest was."""
        found = _DROPPED.search(self.reason)
        return int(found[1]) if found else None


class InfluxStore(Store):
    """A sink: `take` returns when InfluxDB has the points, or has refused them for what they are.

    Nothing queues: it holds one batch, whatever the length of an outage. counts: what became of the points.
    """

    def __init__(self, settings: Settings, *, meters: Meters | None = None) -> None:
        """Raises ConfigError when `influx_url` is no address."""
        self._settings = InfluxSettings.of(settings)
        self._client: InfluxDBClientAsync | None = None
        self.counts = Counts(meters)
        self._newest = Newest(self.counts, line)
        self._lines: dict[bytes, tuple[int, bytes]] = {}
        self._parts: list[list[bytes]] = []
        """Those of these lines that are not written yet, the next request last."""

    @classmethod
    def is_configured(cls, settings: Settings) -> bool:
        """Whether `influx_url` is set."""
        return bool(settings.influx_url)

    @property
    def place(self) -> str:
        """Its address."""
        return f"InfluxDB at {self._settings.url}"

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Open the client; InfluxDB need not be up yet. The history is not needed: points overwrite."""
        del history
        if self._client is None:
            self._client = connect(self._settings)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write the newest point of each place; nothing is to be sent.

        Raises SinkError (retry) for every answer that is not about the points; the same records may then be
        taken again, which goes on where it stopped.
        """
        del partition
        # A thread, since a whole fetch takes a quarter of a second.
        await asyncio.to_thread(self._prepare, records)
        while self._parts:
            part = self._parts[-1]
            answer = await self._post(part)
            self._parts.pop()
            self._judge(part, answer)
        self._newest.remember(self._lines)
        return []

    async def samples(self, request: Request) -> list[Sample]:
        """Raises SinkError as for `take`."""
        return await flux.samples(self._settings, request)

    async def points(self, measurement: str, since: int, until: int) -> list[StoredPoint]:
        """Raises SinkError as for `take`."""
        return await flux.points(self._settings, measurement, since, until)

    async def check(self) -> Check:
        """Read the last minutes, and send a write without lines: that is refused only without permission."""
        check = await super().check()
        client = connect(self._settings)
        try:
            await self._send(client, b"")
        except (refused(), *BROKEN) as error:
            if not (isinstance(error, refused()) and error.status in LINE_FAULTS):
                raise failure(error, self._settings) from None
        finally:
            await client.close()  # type: ignore[no-untyped-call] # the package has no types here
        return check

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call] # the package has no types here
            self._client = None

    def _prepare(self, records: Sequence[Record]) -> None:
        newest = self._newest.of(records)
        if newest is not self._lines:
            lines = [made for _, made in newest.values()]
            parts = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
            self._lines, self._parts = newest, parts[::-1]

    def _judge(self, part: list[bytes], answer: _Answer) -> None:
        """What is left to do after InfluxDB's answer: halves, where a line is bad or the whole too large."""
        if answer.status < 300:
            self.counts.written += len(part)
        elif answer.status != 422 and len(part) > 1 and answer.dropped != len(part):
            middle = len(part) // 2
            self._parts += [part[middle:], part[:middle]]
        else:
            self._set_aside(part, answer)

    def _set_aside(self, lines: list[bytes], answer: _Answer) -> None:
        lost = min(len(lines), answer.dropped if answer.dropped is not None else len(lines))
        self.counts.lose(str(answer.status), lost)
        self.counts.written += len(lines) - lost
        log.warning(
            "InfluxDB refused points; they are set aside",
            points=lost,
            of=len(lines),
            first=_outline(lines[0].decode()),
            status=answer.status,
            reason=answer.reason[:256],
        )

    async def _post(self, lines: list[bytes]) -> _Answer:
        """One request. Raises SinkError(retry=True) for every answer that is not about the lines."""
        if self._client is None:
            raise RuntimeError("the writer is not started")
        try:
            await self._send(self._client, b"\n".join(lines))
        except (refused(), *BROKEN) as error:
            self.counts.fail(code(error))
            error.__traceback__ = None  # the client's frames hold each other and the body: it would pile up
            if isinstance(error, refused()) and error.status in LINE_FAULTS:
                return _Answer(error.status, message(error))
            raise failure(error, self._settings) from None
        return _Answer(204)

    async def _send(self, client: InfluxDBClientAsync, body: bytes) -> None:
        await client.write_api().write(self._settings.bucket, record=body)


def _outline(text: str) -> str:
    """A line's measurement and tag keys: no values."""
    head = re.match(r"(?:\\.|[^ \\])*", text)
    keys = re.findall(r"(?<!\\),((?:\\.|[^=\\])+)=", head[0] if head else "")
    return f"{text.split(',', 1)[0]}({', '.join(keys)})"
