"""The sink of the alerts topic: it absorbs what changes and tells what is due."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replace_field
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmvitals.errors import SinkError
from llmvitals.incidents.digest import gathered
from llmvitals.incidents.due import Agenda
from llmvitals.incidents.group import grouped
from llmvitals.incidents.intake import SHELF, Intake
from llmvitals.incidents.late import Late
from llmvitals.incidents.mutes import Mutes
from llmvitals.incidents.points import point
from llmvitals.incidents.sender import Tell
from llmvitals.incidents.store import IncidentStore
from llmvitals.incidents.user_actions import Acts
from llmvitals.incidents.verdict_sender import Judge
from llmvitals.incidents.view import IncidentView
from llmvitals.meters import Unmetered
from llmvitals.notify.delivery import Delivery
from llmvitals.notify.protocol import chosen
from llmvitals.notify.rate_limit import RateLimits
from llmvitals.record.log import Message, Topic
from llmvitals.record.matcher import Matcher
from llmvitals.record.user_action import encode
from llmvitals.routing import Route, Routing
from llmvitals.stage import Sink
from llmvitals.window import MINUTE, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.incidents.mutes import Muted
    from llmvitals.incidents.user_actions import Buttons
    from llmvitals.meters import Meters
    from llmvitals.notify.protocol import Backend
    from llmvitals.record.incident import Case, Incident
    from llmvitals.record.log import Record
    from llmvitals.record.user_action import Silence
    from llmvitals.settings import Settings

_MOST: Final = 2_000
"""Incidents that are looked at in one tick."""
_BREATH: Final = 500
"""After so many records the process has a moment for its other work."""


class IncidentSink(Sink):
    """All alerts in one place, so that grouping, silences and digests are of all of them.

    `take` changes the state and waits for nobody; `tick` brings to people what is due by the wall clock. Both
    give the records of what they changed for the compacted topic of incidents, from which the next owner
    restores everything. Slack has no idempotency key: of what was said just before a crash and never marked
    the message is looked for by its metadata, where history may be read; else it is said twice at most.
    """

    ticks = True

    def __init__(
        self,
        settings: Settings,
        routing: Routing | None = None,
        *,
        meters: Meters | None = None,
        backend: Backend | None = None,
        buttons: Buttons | None = None,
        tempo: RateLimits | None = None,
    ) -> None:
        self._tempo = tempo or RateLimits(patience=2.0)
        self._meters = meters or Unmetered()
        self._backend = backend or chosen(settings, self._tempo.timeout)
        self._routing, self._default = routing or Routing(), settings.slack_channel or ""
        self._delivery = Delivery(self._backend, self._default, self._tempo, self._meters)
        max_age = duration(settings.max_alert_age)
        self._shelf = SHELF + max_age
        self._intake = Intake(self._routing, max_age, self._default, self._meters, self._tempo.clock)
        self._tell = Tell(self._delivery, self._tempo, self._meters, settings.trace_url or "", self._look)
        self._acts = Acts(buttons)
        self._opened = self._checked = False
        self._begin(())

    def _begin(self, history: Sequence[Record]) -> None:
        self._book = book = IncidentStore(history)
        self._mutes = Mutes(self._routing, lambda name: _lasts(book, name))
        self._judge, self._agenda = Judge(), Agenda()
        self._late = Late(book, self._intake.max_age, self._tempo.clock())
        self._sent: list[Message] = []
        self._seen: dict[str, tuple[int, tuple[IncidentView, Route]]] = {}
        self._swept, self._checks, self._quiet = 0, 0, (0, frozenset[str]())
        for case in book.cases.values():
            self._mutes.source(case)
        for name in book.incidents:
            self._agenda.put(name, 0)
        self._tell.restart(book)

    async def start(self, history: Sequence[Record] | None) -> None:
        """Take up where the last owner stopped; again whenever partitions were assigned.

        history: the newest record of each key of the incidents topic.
        """
        self._begin(history or ())
        if not self._opened:
            self._opened = True
            await self._backend.open()
        await self._acts.start()

    def hear(self, records: Sequence[Record]) -> None:
        """What people do about alerts: the newest of each act, and later whatever is done; and watermarks."""
        now = self._tempo.clock()
        for record in records:
            if self._late.hears(record):
                continue
            name, points = self._acts.hear(record, self._book, self._mutes, now)
            self._sent += points
            if name:
                self._agenda.put(name, now)

    def adopt(self, routing: Routing) -> None:
        """Other routes, inhibitions and mute times hold from now on; what is in an incident stays in it."""
        book, silences = self._book, self._mutes.silences
        self._routing, self._intake = routing, replace_field(self._intake, routing=routing)
        self._mutes = Mutes(routing, lambda name: _lasts(book, name))
        for silence in silences.values():
            self._mutes.hear(silence)
        for case in book.cases.values():
            self._mutes.source(case)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Absorb these records of the alerts topic; gives the records of what changed, and points."""
        del partition
        now = self._tempo.clock()
        if not self._judge.asked:
            # Else whom an alert let go of that comes before the first tick would stay blocked.
            self._listen(now)
        for number, record in enumerate(records, 1):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            taken = self._intake.take(self._book, record, marked=self._late.known)
            if taken is None:
                continue
            case, change = taken
            self._sent.append(change)
            if self._late.take(case, now):
                self._meters.count("notifications", result="missed")
            self._changed(case, now)
        return self._out()

    async def tick(self) -> list[Message]:
        """Tell what is due; gives the records of what was told, points, and what buttons asked for."""
        self._sent += self._acts.drained()
        now = self._tempo.clock()
        self._seen.clear()
        self._sweep(now)
        self._listen(now)
        if await self._known(now):
            due = list(self._agenda.due(now, _MOST))
            for name in due:
                self._hush(name)
            due, digests = gathered(self._book, due, self._look, now)
            for name in (*due, *digests):
                # A call that is cancelled half way has told less than was due.
                self._agenda.put(name, now)
            for name, time in (await self._tell.round(self._book, due)).items():
                self._agenda.put(name, time)
        self._admit(now)
        return self._out()

    async def rest(self) -> list[Message]:
        """Somebody else has the alerts: the buttons are his; gives what they asked for until then."""
        return await self._acts.rest()

    async def stop(self) -> None:
        """Give the connections back."""
        await self._acts.rest()
        await self._backend.close()

    def health(self) -> str | None:
        """Why alerts don't reach people at present, and what to do; None when all is well."""
        reasons = [*self._delivery.trouble.values(), self._acts.trouble() or ""]
        return "; ".join(dict.fromkeys(filter(None, reasons))) or None

    def _changed(self, case: Case, now: int) -> None:
        """An alert has changed: whom it mutes, what gateways hear, and when to look at its incident."""
        self._mutes.source(case)
        self._sent += self._judge.one(self._book, self._mutes, case.alert, now)
        if case.incident:
            self._agenda.put(case.incident, now)
            self._sent += [_message(silence) for silence in self._mutes.over(case.incident, now)]

    def _admit(self, now: int) -> None:
        """What was held and still fires is told in the next tick, when it is written down: see gathered."""
        due, missed = self._late.due()
        for name in due:
            if (case := self._book.cases.get(name)) is not None and case.firing:
                self._changed(self._intake.admit(self._book, case, missed), now)
                missed = 0
        self._meters.note("alerts", self._late.note())

    def _out(self) -> list[Message]:
        sent, self._sent = self._sent, []
        return self._book.marks() + sent

    async def _known(self, now: int) -> bool:
        """Whether Slack knows us; before it does, nothing is sent there."""
        if not self._checked and now >= self._checks:
            try:
                await self._delivery.check()
            except SinkError as error:
                self._checks = now + int(min(error.retry_after or 1.0, 60.0) * 1_000_000)
            else:
                self._checked = True
        return self._checked

    def _look(self, name: str) -> tuple[IncidentView, Route] | None:
        """The incident as it is to be seen now; of a great one that is work, so it is done once a tick."""
        version = self._book.version(name)
        known = self._seen.get(name)
        if known is not None and known[0] == version:
            return known[1]
        incident, cases = self._book.incidents.get(name), self._book.members(name)
        if incident is None or not cases:
            return None
        heard = [] if self._mutes.idle else cases
        muted = {case.id: found for case in heard if (found := self._muted(case)) is not None}
        route, matchers = Route(), tuple[Matcher, ...]()
        if not incident.digest:
            chief = IncidentView(incident, cases, muted).card.chief
            route = self._routing.route(chief.marks)
            matchers = grouped(chief, route, self._default).matchers
        look = IncidentView(incident, cases, muted, matchers), route
        self._seen[name] = version, look
        return look

    def _muted(self, case: Case) -> Muted | None:
        """What mutes an alert that fires, or of whose end people would hear."""
        if not case.firing and (case.told is None or case.told[0] == "resolved"):
            return None
        return self._mutes.why(case.alert, self._tempo.clock())

    def _hush(self, name: str) -> None:
        """Remember whether the incident is told at present; a silence is a change of its alerts' state."""
        found = self._look(name)
        if found is None:
            return
        sight, now = found[0], self._tempo.clock()
        incident, unheard = sight.incident, sight.card.unheard
        if unheard == incident.unheard:
            return
        if unheard and not incident.unheard:
            for case in sight.firing:
                if by := sight.muted[case.id].by:
                    self._sent.append(point(case.alert, "silenced", at=max(now, case.alert.at), by=by))
        hushed = incident.hushed or bool(unheard and incident.posted)
        # What muted it may be over before word comes that so is it: it waits as one that has just begun.
        born = incident.born if unheard or incident.posted else now
        self._book.put(replace(incident, unheard=unheard, hushed=hushed, born=born))

    def _listen(self, now: int) -> None:
        """Look at everything again once something mutes or unmutes."""
        until, times = self._quiet
        if self._mutes.moved or now >= until or times != self._mutes.times(now):
            self._mutes.moved = False
            self._quiet = self._mutes.until(now), self._mutes.times(now)
            for incident in self._book.incidents.values():
                if incident.until is None:
                    self._agenda.put(incident.id, now)
            self._sent += self._judge.all(self._book, self._mutes, now)

    def _sweep(self, now: int) -> None:
        """Let go, once a minute, of what is over for so long that nothing about it can be news."""
        if now < self._swept + MINUTE:
            return
        self._swept, before = now, now - self._shelf
        for case in [c for c in self._book.cases.values() if not c.firing and c.alert.at < before]:
            incident = self._book.incidents.get(case.incident)
            if incident is not None:
                if self._book.size(incident.id) == 1:
                    continue
                self._book.put(replace(incident, left=incident.left + 1))
            self._book.drop(case)
        for incident in [i for i in self._book.incidents.values() if _over(i, before)]:
            self._book.drop(incident)
        self._sent += self._acts.swept(self._book, self._mutes, now)


def _message(silence: Silence) -> Message:
    return Message(Topic.SILENCES, silence.key, encode(silence))


def _lasts(book: IncidentStore, name: str) -> bool:
    return (incident := book.incidents.get(name)) is not None and incident.until is None


def _over(incident: Incident, before: int) -> bool:
    return incident.until is not None and incident.until < before
