"""Detects a broken producer: more than half of a source partition's records can't be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.record.alert import Alert, fingerprint
from llmvitals.window import SECOND

Ints = NDArray[np.int64]

RULE: Final = "ProducerBroke"
SPAN: Final = 30 * SECOND
"""The least µs of record time in a span that is judged."""
LEAST: Final = 20
"""The least number of records in a span that is judged: one bad record of three proves nothing."""
_SHARE: Final = 0.5


class Breaker(msgspec.Struct):
    """The current span and the state of the alert: a pure function of the log.

    A span ends before the first record that comes SPAN after its earliest one, once it has LEAST records.
    begin: the earliest Kafka time in it, µs (None: empty). records: how many it has. letters: dead letters
    by code. since: the begin of the span in which the alert fired; None: not firing. at: of the last change.
    """

    begin: int | None = None
    records: int = 0
    letters: dict[str, int] = {}
    since: int | None = None
    at: int = 0

    def take(self, stamps: Ints, refused: Mapping[int, str], source: str, dlq: str) -> list[Alert]:
        """Count records and return the changes of the alert.

        stamps: Kafka times in µs, below 0 for none. refused: place of a dead letter → its code. source:
        topic/partition. dlq: the name of the dead-letter topic.
        """
        out: list[Alert] = []
        if self._may_end_span(stamps):
            for place, stamp in enumerate(stamps.tolist()):
                if self._ends_span(stamp) and (alert := self._judge(stamp, source, dlq)):
                    out.append(alert)
                self._count(stamp, 1, [refused[place]] if place in refused else [])
        else:
            known = stamps[stamps >= 0]
            self._count(int(known.min()) if len(known) else -1, len(stamps), refused.values())
        return out

    def _may_end_span(self, stamps: Ints) -> bool:
        """Whether a span can end within these records."""
        known = stamps[stamps >= 0]
        if not len(known):
            return False
        first = int(known.min()) if self.begin is None else min(self.begin, int(known.min()))
        return int(known.max()) - first >= SPAN

    def _ends_span(self, stamp: int) -> bool:
        return self.begin is not None and stamp - self.begin >= SPAN and self.records >= LEAST

    def _count(self, stamp: int, records: int, codes: Iterable[str]) -> None:
        if stamp >= 0:
            self.begin = stamp if self.begin is None else min(self.begin, stamp)
        self.records += records
        for code in codes:
            self.letters[code] = self.letters.get(code, 0) + 1

    def _judge(self, stamp: int, source: str, dlq: str) -> Alert | None:
        """Judge the span, begin the next one, and return the alert if it changed."""
        begin, records, letters = self.begin or 0, self.records, self.letters
        self.begin, self.records, self.letters = None, 0, {}
        bad_share = sum(letters.values()) / records
        if (bad_share > _SHARE) == (self.since is not None):
            return None
        since = self.since if self.since is not None else begin
        self.at = max(stamp, self.at + 1)
        self.since = begin if bad_share > _SHARE else None
        topic, _, partition = source.rpartition("/")
        labels = {"topic": topic, "partition": partition}
        identity, firing = fingerprint(RULE, labels), self.since is not None
        codes = sorted(letters.items(), key=lambda item: (-item[1], item[0]))
        reasons = ", ".join(f"{code} {count:,}" for code, count in codes) or "none"
        return Alert(
            rule=RULE,
            kind="producer",
            status="firing" if firing else "resolved",
            severity="critical",
            fingerprint=identity,
            episode=f"{identity}-{since}",
            group=f"llmvitals/{RULE}",
            labels=labels,
            metric="dead_letter_share",
            unit="share",
            value=bad_share,
            limit=_SHARE,
            window="30s",
            since=since,
            at=self.at,
            until=None if firing else self.at,
            note=f"{sum(letters.values()):,} of {records:,} records could not be read ({reasons}); {dlq} has "
            "each of them with the reason",
            summary=f"A producer is broken: over half of the records of {topic}[{partition}] can't be read",
        )
