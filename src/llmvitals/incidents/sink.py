"""The sink of the alerts topic: it absorbs what changes and sends what is due."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replace_field
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmvitals.incidents.agenda import Agenda
from llmvitals.incidents.group import gathered, grouped
from llmvitals.incidents.intake import RETENTION, Intake, point
from llmvitals.incidents.late import Late
from llmvitals.incidents.mutes import Mutes
from llmvitals.incidents.senders import Senders
from llmvitals.incidents.store import IncidentStore
from llmvitals.incidents.user_actions import UserActions, message
from llmvitals.incidents.verdicts import VerdictSender
from llmvitals.incidents.view import IncidentView
from llmvitals.meters import Unmetered
from llmvitals.record.matcher import Matcher
from llmvitals.routing import Route, Routing
from llmvitals.stage import Sink
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.incidents.sender import Delivery
    from llmvitals.meters import Meters
    from llmvitals.rate_limit import RateLimits
    from llmvitals.record.incident import Case, Incident
    from llmvitals.record.log import Message, Record
    from llmvitals.record.notification import Muted

_MOST: Final = 2_000
"""The most incidents that are looked at in one tick."""
_YIELD_AFTER: Final = 500
"""After so many records the event loop does its other work."""


class IncidentSink(Sink):
    """All alerts in one place, so that grouping, silences and digests are of all of them.

    `take` changes the state and waits for nobody; `tick` sends what is due by the wall clock, by every
    delivery. Both return the records of what they changed for the compacted topic of incidents, from which
    the next owner restores everything. What was sent just before a crash and never marked is looked for where
    a notifier can look; else it is said twice at most.

    max_age: a firing alert older than this (µs) is held, see Late. channel: for alerts of which neither the
    rule nor the route names one.
    """

    ticks = True

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        routing: Routing | None = None,
        *,
        max_age: int,
        channel: str = "",
        limits: RateLimits,
        meters: Meters | None = None,
    ) -> None:
        self._limits, self._meters = limits, meters or Unmetered()
        self._routing, self._channel, self._retention = routing or Routing(), channel, RETENTION + max_age
        self._intake = Intake(self._routing, max_age, channel, self._meters, self._limits.clock)
        self._senders = Senders(deliveries, self._limits, self._meters, self._look)
        self._begin(())

    def _begin(self, history: Sequence[Record]) -> None:
        self._store = store = IncidentStore(history)
        self._mutes = Mutes(self._routing, lambda name: _lasts(store, name))
        self._verdicts, self._agenda, self._actions = VerdictSender(), Agenda(), UserActions()
        self._late = Late(store, self._intake.max_age, self._limits.clock())
        self._out: list[Message] = []
        self._views: dict[str, tuple[int, Mapping[str, IncidentView], Route]] = {}
        self._swept, self._next_mute_check, self._mute_times = 0, 0, frozenset[str]()
        for case in store.cases.values():
            self._mutes.source(case)
        for name in store.incidents:
            self._agenda.put(name, 0)
        self._senders.restart(store)

    async def start(self, history: Sequence[Record] | None) -> None:
        """Take up where the last owner stopped; again whenever partitions were assigned.

        history: the newest record of each key of the incidents topic.
        """
        await self._senders.cancel()
        self._begin(history or ())
        await self._senders.open()

    def hear(self, records: Sequence[Record]) -> None:
        """Take in what people do about alerts, first the newest record of each key; and watermarks."""
        now = self._limits.clock()
        for record in records:
            if self._late.hears(record):
                continue
            name, points = self._actions.hear(record, self._store, self._mutes, now)
            self._out += points
            if name:
                self._agenda.put(name, now)

    def adopt(self, routing: Routing) -> None:
        """Use other routes, inhibitions and mute times from now on; alerts stay in their incidents."""
        store, silences = self._store, self._mutes.silences
        self._routing, self._intake = routing, replace_field(self._intake, routing=routing)
        self._mutes = Mutes(routing, lambda name: _lasts(store, name))
        for silence in silences.values():
            self._mutes.hear(silence)
        for case in store.cases.values():
            self._mutes.source(case)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Absorb records of the alerts topic; return the records of what changed, and points."""
        del partition
        now = self._limits.clock()
        if not self._verdicts.complete:
            # Else a series that the first alert lets go of, before the first tick, would stay blocked.
            self._check_mutes(now)
        for number, record in enumerate(records, 1):
            if number % _YIELD_AFTER == 0:
                await asyncio.sleep(0)
            taken = self._intake.take(self._store, record, marked=self._late.known)
            if taken is None:
                continue
            case, change = taken
            self._out.append(change)
            if self._late.take(case, now):
                self._meters.count("notifications", result="missed")
            self._changed(case, now)
        return self._drained()

    async def tick(self) -> list[Message]:
        """Send what is due; return the records of what was sent, points, and what people did in between."""
        self._out += map(message, self._senders.actions())
        now = self._limits.clock()
        self._views.clear()
        self._sweep(now)
        self._check_mutes(now)
        due = list(self._agenda.due(now, _MOST))
        for name in due:
            self._hush(name)
        due, digests = gathered(self._store, due, self._posts, now)
        for name in (*due, *digests):
            # A call that is cancelled half way has sent less than was due.
            self._agenda.put(name, now)
        for name, time in (await self._senders.round(self._store, due)).items():
            self._agenda.put(name, time)
        self._admit(now)
        return self._drained()

    @property
    def due(self) -> int:
        """When the next tick has something to do (µs), if nothing comes in until then; FOREVER: never."""
        return min(self._agenda.next, self._next_mute_check)

    async def rest(self) -> list[Message]:
        """Stop listening, since somebody else has the alerts now; return what people did until then."""
        await self._senders.cancel()
        return [message(action) for action in await self._senders.rest()]

    async def stop(self) -> None:
        """Give the connections back."""
        await self._senders.cancel()
        await self._senders.close()

    def cases(self) -> list[Case]:
        """Return all alerts that belong to an incident, as they are known now."""
        return [case for case in self._store.cases.values() if case.incident]

    def health(self) -> str | None:
        """Return why alerts don't reach people at present, and what to do; None when all is well."""
        return "; ".join(self._senders.troubles()) or None

    def _changed(self, case: Case, now: int) -> None:
        """Update what a changed alert mutes, its verdict, and when its incident is looked at."""
        self._mutes.source(case)
        self._out += self._verdicts.changed(self._store, self._mutes, case.alert, now)
        if case.incident:
            self._agenda.put(case.incident, now)
            self._out += [message(silence) for silence in self._mutes.ended(case.incident, now)]

    def _admit(self, now: int) -> None:
        """Release held alerts that still fire: they are sent in the next tick, once they are written down."""
        due, missed = self._late.due()
        for name in due:
            if (case := self._store.cases.get(name)) is not None and case.firing:
                self._changed(self._intake.admit(self._store, case, missed), now)
                missed = 0
        self._meters.note("alerts", self._late.note())

    def _drained(self) -> list[Message]:
        out, self._out = self._out, []
        return self._store.marks() + out

    def _posts(self, name: str) -> bool | None:
        """Whether some notifier posts the incident now, and none is at work on it; None: there is none."""
        if self._view(name) is None:
            return None
        return self._senders.posts(name)

    def _look(self, name: str, notifier: str) -> tuple[IncidentView, Route] | None:
        """Return the incident as a notifier is to show it now, and its route."""
        found = self._view(name)
        return None if found is None else (found[0][notifier], found[1])

    def _view(self, name: str) -> tuple[Mapping[str, IncidentView], Route] | None:
        """Return the incident as each notifier is to show it; for large ones that is costly: cached."""
        version, known = self._store.version(name), self._views.get(name)
        if known is not None and known[0] == version:
            return known[1], known[2]
        incident, cases = self._store.incidents.get(name), self._store.members(name)
        if incident is None or not cases:
            return None
        mutable = [] if self._mutes.idle else cases
        muted = {case.id: mute for case in mutable if (mute := self._muted(case)) is not None}
        matchers, names = tuple[Matcher, ...](), self._senders.names
        chief = IncidentView(incident, cases, muted, (), names[0]).state.chief
        route = self._routing.route(chief.marks)
        if incident.digest:
            route = Route(mention=route.mention)
        else:
            matchers = grouped(chief, route, self._channel).matchers
        views = {notifier: IncidentView(incident, cases, muted, matchers, notifier) for notifier in names}
        self._views[name] = version, views, route
        return views, route

    def _muted(self, case: Case) -> Muted | None:
        """Return what mutes an alert that fires, or of whose end people would hear."""
        if not case.firing and all(status == "resolved" for status, _, _ in case.heard.values()):
            return None
        return self._mutes.why(case.alert, self._limits.clock())

    def _hush(self, name: str) -> None:
        """Remember whether the incident is muted at present; a silence is a change of its alerts' state."""
        found = self._view(name)
        if found is None:
            return
        view, now = next(iter(found[0].values())), self._limits.clock()
        incident, unheard = view.incident, "; ".join(map(str, view.state.unheard))
        if unheard == incident.unheard:
            return
        if unheard and not incident.unheard:
            for case in view.firing:
                if by := view.muted[case.id].by:
                    self._out.append(point(case.alert, "silenced", at=max(now, case.alert.at), by=by))
        sent = incident.sent
        if unheard:
            sent = {name: replace(one, hushed=one.hushed or one.posted) for name, one in sent.items()}
        # Its own end may be read a moment after the end of what muted it: it waits like a new one.
        born = incident.born if unheard or incident.is_posted else now
        self._store.put(replace(incident, unheard=unheard, sent=sent, born=born))

    def _check_mutes(self, now: int) -> None:
        """Look at everything again once something mutes or unmutes."""
        times = self._mutes.times(now)
        if self._mutes.changed or now >= self._next_mute_check or times != self._mute_times:
            self._mutes.changed = False
            self._next_mute_check, self._mute_times = self._mutes.until(now), times
            for incident in self._store.incidents.values():
                if incident.until is None:
                    self._agenda.put(incident.id, now)
            self._out += self._verdicts.all(self._store, self._mutes, now)

    def _sweep(self, now: int) -> None:
        """Forget, once a minute, what has been over for so long that nothing about it can be new."""
        if now < self._swept + MINUTE:
            return
        self._swept, before = now, now - self._retention
        for case in [c for c in self._store.cases.values() if not c.firing and c.alert.at < before]:
            incident = self._store.incidents.get(case.incident)
            if incident is not None:
                if self._store.size(incident.id) == 1:
                    continue
                self._store.put(replace(incident, left=incident.left + 1))
            self._store.drop(case)
        for incident in [i for i in self._store.incidents.values() if _over(i, before)]:
            self._store.drop(incident)
        self._out += self._actions.expired(self._store, self._mutes, now)


def _lasts(store: IncidentStore, name: str) -> bool:
    incident = store.incidents.get(name)
    return incident is not None and incident.until is None


def _over(incident: Incident, before: int) -> bool:
    return incident.until is not None and incident.until < before
