"""Points → InfluxDB 1.8, 2.x or 3, one request per batch, each answer decided here.

The client's batching mode gives up after its retry limit without a word and queues without bound, so only
its transport is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from influxdb_client.rest import ApiException

from llmvitals.write.client import BROKEN, address, connect, failure, said
from llmvitals.write.lines import line
from llmvitals.write.newest import Counts, Newest
from llmvitals.write.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings

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


class InfluxWriter:
    """A sink: `take` returns when InfluxDB has the points, or has refused them for what they are.

    Nothing queues: it holds one batch, whatever the length of an outage. counts: what became of the points.
    """

    def __init__(self, settings: Settings, *, patience: Patience | None = None) -> None:
        """Raises ConfigError when `influx_url` is no address."""
        address(settings)
        self._settings = settings
        self._patience = patience or Patience()
        self._client: InfluxDBClientAsync | None = None
        self.counts = Counts()
        self._newest = Newest(self.counts)

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Open the client; InfluxDB need not be up yet. The history is not needed: points overwrite."""
        del history
        if self._client is None:
            self._client = connect(self._settings)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write the newest point of each place; nothing is to be sent. Retries until cancelled."""
        del partition
        points = self._newest.of(records)
        lines = [line(point) for point in points.values()]
        for at in range(0, len(lines), LINES):
            await self._deliver(lines[at : at + LINES])
        self._newest.remember(points)
        return []

    async def idle(self) -> None:
        """Nothing waits here."""

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call] # the package has no types here
            self._client = None

    def health(self) -> str | None:
        """Why it does not get on, or None."""
        return self._patience.reason

    async def _deliver(self, lines: list[str]) -> None:
        """Write these lines; halves are tried where a line is bad or the whole too large."""
        parts = [lines]
        while parts:
            part = parts.pop()
            answer = await self._patience.until_done(partial(self._post, part), self._retried)
            if answer.status < 300:
                self.counts.written += len(part)
            elif answer.status == 422:
                self._set_aside(part, answer)
            elif len(part) > 1 and answer.dropped != len(part):
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                self._set_aside(part, answer)

    def _set_aside(self, lines: list[str], answer: _Answer) -> None:
        lost = min(len(lines), answer.dropped if answer.dropped is not None else len(lines))
        self.counts.set_aside += lost
        self.counts.written += len(lines) - lost
        log.warning(
            "InfluxDB refused points; they are set aside",
            points=lost,
            of=len(lines),
            first=_outline(lines[0]),
            status=answer.status,
            reason=answer.reason[:256],
        )

    def _retried(self) -> None:
        self.counts.retries += 1

    async def _post(self, lines: list[str]) -> _Answer:
        """One request. Raises SinkError(retry=True) for every answer that is not about the lines."""
        if self._client is None:
            raise RuntimeError("the writer is not started")
        body = "\n".join(lines).encode("utf-8", "replace")
        try:
            await self._client.write_api().write(self._settings.influx_bucket, record=body)
        except ApiException as error:
            if error.status in (400, 413, 422):
                return _Answer(error.status, said(error))
            raise failure(error, self._settings) from None
        except BROKEN as error:
            raise failure(error, self._settings) from None
        return _Answer(204)


def _outline(text: str) -> str:
    """A line's measurement and tag keys: no values."""
    head = re.match(r"(?:\\.|[^ \\])*", text)
    keys = re.findall(r"(?<!\\),((?:\\.|[^=\\])+)=", head[0] if head else "")
    return f"{text.split(',', 1)[0]}({', '.join(keys)})"
