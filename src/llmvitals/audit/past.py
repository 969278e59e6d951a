"""Decodes past calls one by one, and tells the ones that came twice."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from llmvitals.combine.response_ids import response_reports, span_links
from llmvitals.errors import BadCall
from llmvitals.ingest import decoder
from llmvitals.record.call import ended
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from llmvitals.combine.response_ids import ResponseReport
    from llmvitals.record.call import Call
    from llmvitals.record.log import Record
    from llmvitals.settings import Settings

    class Reader(Protocol):
        """Whoever reads past calls."""

        def take(self, call: Call, seen: Seen) -> None:
            """Read a call."""


class Seen(StrEnum):
    """Whether a call was seen before: its id, or by another instrumentor its response."""

    NEW = "new"
    DOUBLED = "doubled"
    COPY = "copy"


class PastCalls:
    """Hands the calls of past records to a reader (it is a past_calls.Fed). In memory: an id for each call.

    calls: how many. refused: records and items that can't be read.
    """

    def __init__(self, settings: Settings, reader: Reader) -> None:
        self.calls = self.refused = 0
        self._reader, self._settings = reader, settings
        self._decode = decoder(settings, None)
        self._decoders = {topic: decoder(settings, form) for topic, form in settings.formats.items()}
        self._ids: set[int] = set()
        self._responses: dict[str, ResponseReport] = {}

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Read records of one partition."""
        del partition
        decode = self._decoders.get(topic, self._decode)
        for record in records:
            value = record.value or b""
            if len(value) > self._settings.max_batch_bytes:
                self.refused += 1
                continue
            try:
                decoded = decode(value, record.timestamp * 1_000)
            except BadCall:
                self.refused += 1
                continue
            self.refused += len(decoded.refused)
            for call in decoded.calls:
                self.calls += 1
                self._reader.take(call, self._seen(call))

    def end(self, topic: str, partition: int) -> None:
        """End a partition."""

    def reached(self, topic: str, partition: int) -> int:
        """Always 0: no partition has to wait for another, because the order does not matter."""
        del topic, partition
        return 0

    def _seen(self, call: Call) -> Seen:
        before = len(self._ids)
        self._ids.add(hash(call.id))
        if len(self._ids) == before:
            return Seen.DOUBLED
        (report,), (link,) = response_reports([call]), span_links([call])
        if link:
            is_told, names = link.told_by(lambda name: hash(name) in self._ids)
            self._ids.update(map(hash, names))
            if is_told:
                return Seen.COPY
        if report is None:
            return Seen.NEW
        other = self._responses.setdefault(report.id, report)
        return Seen.COPY if other is not report and other.same_call(report) else Seen.NEW


def day_of(call: Call) -> str:
    """The day of a call in UTC, such as 2026-11-24."""
    return datetime.fromtimestamp(max(ended(call), 0) / SECOND, UTC).date().isoformat()
