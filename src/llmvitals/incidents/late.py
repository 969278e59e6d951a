"""Alerts that were old when they were read: they wait until everything up to the present is read too."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from llmvitals.record.watermark import read
from llmvitals.window import NEVER
from llmvitals.wording import moment

if TYPE_CHECKING:
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.incident import Case
    from llmvitals.record.log import Record

log: Final = structlog.get_logger(__name__)

_NAMED: Final = 10
"""The most rules that a log line names."""


class _Read(NamedTuple):
    """When an alert was read (µs), and how many watermarks were heard before."""

    at: int
    heard: int


class Late:
    """Knows which firing alerts are held, and how many ended before they could be sent.

    After a downtime the alerts topic brings the past first. An old alert that still fires is sent once every
    shard has given, after the alert was read, a watermark that is at most max_age behind the time at which it
    was read: whatever ended it before has been read by then. A replay or backfill of old calls gives old
    watermarks, so alerts that it holds are never sent.

    store: with what the last owner held, which is held anew. max_age, now: µs.
    """

    def __init__(self, store: IncidentStore, max_age: int, now: int) -> None:
        self._max_age = max_age
        self._restored = [case.id for case in store.cases.values() if case.firing and not case.fresh]
        self._held = dict.fromkeys(self._restored, _Read(now, 0))
        self._marks: dict[int, tuple[int, int]] = {}
        self._heard = self._shards = 0
        self._missed: Counter[str] = Counter()
        self._missed_at = _Read(now, 0)

    def hears(self, record: Record) -> bool:
        """Whether this record is a watermark.

        Of a shard the last one counts, not the highest: when merge replays the past, they fall.
        """
        mark = read(record)
        if mark is None:
            return False
        self._heard += 1
        self._marks[mark.shard], self._shards = (mark.time, self._heard), mark.shards
        return True

    @property
    def known(self) -> bool:
        """Whether merge writes watermarks; an older one does not."""
        return self._shards > 0

    def take(self, case: Case, now: int) -> bool:
        """Take in a changed alert; return whether it ended while it was held, and so was never sent."""
        if case.firing:
            if not case.fresh:
                self._held.setdefault(case.id, _Read(now, self._heard))
            else:
                self._held.pop(case.id, None)
            return False
        if self._held.pop(case.id, None) is None:
            return False
        self._missed[case.alert.rule] += 1
        self._missed_at = _Read(now, self._heard)
        return True

    @property
    def complete(self) -> int:
        """Event time (µs) up to which the alerts of all shards are read; NEVER while a shard is unknown."""
        return min((self._mark(shard)[0] for shard in range(self._shards)), default=NEVER)

    def due(self) -> tuple[list[str], int]:
        """Return the held alerts that can be sent now, by episode, and how many others ended unsent.

        Both are returned once, and logged.
        """
        for name in self._restored:  # the watermarks that were heard at the start are older than this owner
            if name in self._held:
                self._held[name] = self._held[name]._replace(heard=self._heard)
        self._restored = []
        due = [name for name, read in self._held.items() if self._passed(read)]
        for name in due:
            del self._held[name]
        missed, number = self._missed, self._missed.total()
        if not due and (not number or not self._passed(self._missed_at)):
            return [], 0
        self._missed = Counter()
        if due:
            line = f"{_alerts(len(due))} that llmvitals, being down or behind, read late: told now, as late"
            log.warning(line)
        if missed:
            line = f"{_alerts(number)} began and ended while llmvitals was down or behind: {_rules(missed)}"
            line += "; nobody was told, but `llmvitals alerts history` has them"
            log.warning(line)
        return due, number

    def note(self) -> str | None:
        """What people should know while alerts are held; None while there are none."""
        if not self._held:
            return None
        complete, until = self.complete, max(self._held.values()).at - self._max_age
        unknown = [shard for shard in range(self._shards) if shard not in self._marks]
        at = f"event time {moment(complete)}" if complete > NEVER else "an unknown event time"
        if unknown:
            at += f" (shard {', '.join(map(str, unknown))} of merge has said nothing yet)"
        ended = f"; {_alerts(self._missed.total())} began and ended meanwhile" if self._missed else ""
        return (
            f"alerts: catching up, at {at}: {_alerts(len(self._held))} older than max_alert_age wait until"
            f" event time has passed {moment(until)} everywhere, and are told if they still fire then{ended}"
        )

    def _mark(self, shard: int) -> tuple[int, int]:
        return self._marks.get(shard, (NEVER, 0))

    def _passed(self, read: _Read) -> bool:
        """Whether the watermarks say that everything up to the time of this reading is read."""
        marks = [self._mark(shard) for shard in range(self._shards)]
        return bool(marks) and all(
            heard > read.heard and time >= read.at - self._max_age for time, heard in marks
        )


def _alerts(number: int) -> str:
    return f"{number:,} alert{'' if number == 1 else 's'}"


def _rules(missed: Counter[str]) -> str:
    named = [f"{rule} ({number:,})" for rule, number in missed.most_common(_NAMED)]
    more = len(missed) - len(named)
    return ", ".join(named) + (f" and {more:,} more rules" if more else "")
