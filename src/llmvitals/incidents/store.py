"""The store of cases and incidents; knows what has changed since it was last written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from llmvitals.record.incident import Case, Entry, Incident, decode, encode
from llmvitals.record.log import Message, Topic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.record.log import Record

log: Final = structlog.get_logger(__name__)


class IncidentStore:
    """cases: by episode. incidents: by id. groups: a group's key → the id of its newest incident.

    Every change goes through `put`, `drop` and `merge`; `marks` gives the records of what changed.
    """

    def __init__(self, history: Iterable[Record] = ()) -> None:
        self.cases: dict[str, Case] = {}
        self.incidents: dict[str, Incident] = {}
        self.groups: dict[str, str] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._firing: Counter[str] = Counter()
        self._series: dict[tuple[str, ...], str] = {}
        self._alike: dict[str, dict[str, None]] = {}
        self._versions: Counter[str] = Counter()
        self._changed: dict[bytes, Entry | None] = {}
        for record in history:
            try:
                self.put(decode(record.value or b""))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                log.warning("a record on the incidents topic can't be read", offset=record.offset)
        self._changed.clear()
        self._mend()

    def members(self, incident: str) -> list[Case]:
        """Return the cases of an incident, in the order in which they joined."""
        return [self.cases[episode] for episode in self._members.get(incident, ())]

    def version(self, incident: str) -> int:
        """Return a number that differs whenever something of an incident has changed."""
        return self._versions[incident]

    def size(self, incident: str) -> int:
        """Return how many cases an incident has."""
        return len(self._members.get(incident, ()))

    def firing(self, incident: str) -> int:
        """Return how many alerts of an incident fire."""
        return self._firing[incident]

    def last(self, case: Case) -> Case | None:
        """Return the last alert of the same series and facet in the case's incident."""
        return self.cases.get(self._series.get(_series(case), ""))

    def alike(self, fingerprint: str) -> list[Case]:
        """Return all alerts of one series of one rule, the oldest first."""
        found = (self.cases[episode] for episode in self._alike.get(fingerprint, ()))
        return sorted(found, key=lambda case: (case.alert.since, case.id))

    def put(self, entry: Entry) -> None:
        """Store an entry in place of the former one of its key."""
        self._changed[entry.key] = entry
        if isinstance(entry, Incident):
            self._versions[entry.id] += 1
            self.incidents[entry.id] = entry
            return
        before = self.cases.get(entry.id)
        if before is not None:
            self._firing[before.incident] -= before.firing
            if before.incident != entry.incident:
                self._leave(before)
        self.cases[entry.id] = entry
        self._versions[entry.incident] += 1
        self._alike.setdefault(entry.alert.fingerprint, {})[entry.id] = None
        if entry.incident:
            self._members.setdefault(entry.incident, {})[entry.id] = None
            self._firing[entry.incident] += entry.firing
            self._series[_series(entry)] = entry.id
        self._lead(entry)

    def drop(self, entry: Entry) -> None:
        """Forget it; of an incident, its cases too."""
        self._changed[entry.key] = None
        if isinstance(entry, Incident):
            for case in self.members(entry.id):
                self.drop(case)
            self._members.pop(entry.id, None)
            self._firing.pop(entry.id, None)
            self._versions.pop(entry.id, None)
            del self.incidents[entry.id]
            return
        self._firing[entry.incident] -= entry.firing
        self._leave(entry)
        alike = self._alike[entry.alert.fingerprint]
        del alike[entry.id], self.cases[entry.id]
        if not alike:
            del self._alike[entry.alert.fingerprint]
        if self.groups.get(entry.group) not in self._members:
            self.groups.pop(entry.group, None)

    def merge(self, incidents: Iterable[Incident], into: Incident) -> None:
        """Make one incident of several."""
        self.put(into)
        for incident in incidents:
            cases = self.members(incident.id)
            del self.incidents[incident.id]
            for case in cases:
                self.put(msgspec.structs.replace(case, incident=into.id))
            self._firing.pop(incident.id, None)
            self._versions.pop(incident.id, None)
            self._changed[incident.key] = None

    def marks(self) -> list[Message]:
        """Return the records of what changed since the last call.

        Incidents come first and tombstones last, so that after a crash in between no case is in an incident
        that does not exist.
        """
        changed, self._changed = self._changed, {}
        order = sorted(changed.items(), key=lambda change: (change[1] is None, isinstance(change[1], Case)))
        return [
            Message(Topic.INCIDENTS, key, None if entry is None else encode(entry)) for key, entry in order
        ]

    def _mend(self) -> None:
        """Repair what a crash has cut short: incidents without alerts, and cases of no known incident."""
        for case in list(self.cases.values()):
            if case.incident and case.incident not in self.incidents:
                self.put(msgspec.structs.replace(case, incident="", group="", heard={}))
            self._lead(case)
        for incident in list(self.incidents.values()):
            if incident.id not in self._members:
                self.drop(incident)

    def _leave(self, case: Case) -> None:
        self._versions[case.incident] += 1
        members = self._members.get(case.incident, {})
        members.pop(case.id, None)
        if not members:
            self._members.pop(case.incident, None)
        if self._series.get(_series(case)) == case.id:
            del self._series[_series(case)]

    def _lead(self, case: Case) -> None:
        """Note a group's newest incident: the one that further alerts join."""
        incident = self.incidents.get(case.incident)
        leader = self.incidents.get(self.groups.get(case.group, ""))
        if incident is not None and (leader is None or incident.born >= leader.born):
            self.groups[case.group] = case.incident


def _series(case: Case) -> tuple[str, ...]:
    return case.incident, case.alert.fingerprint, case.alert.facet
