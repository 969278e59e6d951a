"""Takes in a change of an alert: whether it is new, whether it may be sent, and in which incident."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import structlog

from llmvitals.incidents.group import grouped
from llmvitals.metrics.columns import ALERTS
from llmvitals.record.alert import Alert
from llmvitals.record.incident import Case, Incident, Sent
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.window import DAY, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.incidents.store import IncidentStore
    from llmvitals.meters import Meters
    from llmvitals.record.log import Record
    from llmvitals.routing import Routing

State = Literal["firing", "level", "update", "resolved", "acknowledged", "silenced"]

log: Final = structlog.get_logger(__name__)

RETENTION: Final = DAY
"""After a day what is over may be forgotten; see also Intake._fresh."""


def point(alert: Alert, state: State, *, at: int | None = None, by: str = "") -> Message:
    """The point for an alert that came into a state at `at` (µs; its own newest change when None).

    The same change gives the same point in every replay, so it may be written again. by: who did it.
    """
    when = alert.at if at is None else at
    found = Point(
        measurement=ALERTS,
        start=when,
        tags={
            "rule": alert.rule,
            "kind": alert.kind,
            "severity": alert.severity,
            "state": state,
            "fingerprint": alert.fingerprint,
            **({"facet": alert.facet} if alert.facet else {}),
        },
        counts={"changes": int(state != "update")},
        measures={
            "value": alert.value,
            "limit": alert.limit,
            "seconds": max(when - alert.since, 0) / SECOND,
            "peak": alert.worst,
        },
        texts={
            "episode": alert.episode,
            "level": alert.level,
            "by": by,
            "unit": alert.unit,
            "labels": json.dumps(alert.labels, ensure_ascii=False, sort_keys=True),
        },
    )
    return Message(Topic.VITALS, alert.fingerprint.encode(), found.encode())


@dataclass(frozen=True, slots=True)
class Intake:
    """max_age: µs. default: the channel where nobody names one. clock: µs since 1970."""

    routing: Routing
    max_age: int
    default: str
    meters: Meters
    clock: Callable[[], int]

    def take(self, store: IncidentStore, record: Record, *, marked: bool) -> tuple[Case, Message] | None:
        """Take in a change; return the alert as it stands now and the change's point, None if nothing is new.

        marked: whether watermarks will say when held alerts may be sent.

        A change that is not newer than what is known is no news, so any record may come again.
        """
        try:
            alert = Alert.decode(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.meters.count("notifications", result="unreadable")
            log.warning("a record on the alerts topic is no alert", offset=record.offset)
            return None
        before = store.cases.get(alert.episode)
        if before is not None and rank(alert) <= rank(before.alert):
            self.meters.count("notifications", result="known")
            return None
        case = Case(alert=alert, fresh=self._fresh(alert, record, marked=marked))
        if before is not None and (before.firing or not case.firing):
            # Values that move make no held alert young: it waits for the watermarks.
            fresh = before.fresh or (case.fresh and not alert.update)
            case = msgspec.structs.replace(before, alert=alert, fresh=fresh)
        if case.firing and not case.incident:
            if case.fresh:
                case = self._join(store, case, self._written(record))
            else:
                self.meters.count("notifications", result="held")
        store.put(case)
        if case.incident:
            self._settle(store, case, self._written(record))
        known = before is not None and before.firing
        state: State = "update" if alert.update and known else "level" if known else "firing"
        return case, point(alert, state if case.firing else "resolved")

    def admit(self, store: IncidentStore, case: Case, missed: int) -> Case:
        """Let a held alert that still fires be sent now; its incident says that it is late.

        missed: how many other alerts ended unsent meanwhile, see Incident.late.
        """
        now = self.clock()
        case = self._join(store, msgspec.structs.replace(case, fresh=True), now)
        store.put(case)
        self._settle(store, case, now)
        incident = store.incidents[case.incident]
        missed += incident.late[1] if incident.late else 0
        store.put(msgspec.structs.replace(incident, late=(now, missed)))
        self.meters.count("notifications", result="late")
        return case

    def _written(self, record: Record) -> int:
        now = self.clock()
        return min(record.timestamp * 1_000, now) if record.timestamp > 0 else now

    def _fresh(self, alert: Alert, record: Record, *, marked: bool) -> bool:
        """Whether a firing alert may be sent at once: it is too young to have ended unnoticed.

        Its age is taken when it is read: whoever has not read it may not have read its end either. But where
        no watermark would ever say that, it is taken when the alert was written, and for a day.
        """
        now, written = self.clock(), self._written(record)
        read = now if marked or now - written > RETENTION else written
        return alert.status == "firing" and read - alert.at <= self.max_age

    def _join(self, store: IncidentStore, case: Case, born: int) -> Case:
        """Put the case into its group's incident: one that lasts or ended a moment ago, else a new one."""
        alert = case.alert
        route = self.routing.route(alert.marks)
        group = grouped(alert, route, self.default)
        incident = store.incidents.get(store.groups.get(group.key, ""))
        if incident is None or (incident.until is not None and alert.at - incident.until > route.interval):
            name = f"{group.key}-{alert.at}"
            incident = Incident(id=name, channel=group.channel, since=alert.since, born=born)
            store.put(incident)
        joined = msgspec.structs.replace(case, group=group.key, incident=incident.id)
        earlier = store.last(joined)
        if earlier is None or earlier.firing:
            return joined
        # The same series again: it takes the place of the resolved alert, and what people heard of it.
        if earlier.id != case.id:
            store.put(msgspec.structs.replace(earlier, incident="", heard={}))
        return msgspec.structs.replace(joined, heard=earlier.heard)

    def _settle(self, store: IncidentStore, case: Case, born: int) -> None:
        """Begin, continue or end the incident, as its alerts say."""
        incident, fires = store.incidents[case.incident], store.firing(case.incident) > 0
        now = incident
        if fires and incident.until is not None:
            sent = {name: _begun_again(one) for name, one in incident.sent.items()}
            now = msgspec.structs.replace(
                incident, until=None, born=born, acknowledged=None, late=None, sent=sent
            )
        elif not fires and incident.until is None:
            end = max(member.alert.at for member in store.members(incident.id))
            sent = {name: msgspec.structs.replace(one, hushed=False) for name, one in incident.sent.items()}
            now = msgspec.structs.replace(incident, until=end, unheard="", sent=sent)
        if case.alert.since < now.since:
            now = msgspec.structs.replace(now, since=case.alert.since)
        if now != incident:
            store.put(now)


def _begun_again(sent: Sent) -> Sent:
    said = tuple(word for word in sent.said if word != "ack")
    return msgspec.structs.replace(sent, said=said, again=0)


def rank(alert: Alert) -> tuple[int, bool, float]:
    """Return what is newer: the later change, at one time the resolving one, then the higher level."""
    return alert.at, alert.status == "resolved", alert.height
