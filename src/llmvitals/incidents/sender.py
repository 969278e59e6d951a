"""What is due goes out by one notifier, channel by channel, and is remembered.

How it goes out is a Delivery; notify has one, which is handed in by whoever puts the sink together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from llmvitals.errors import SinkError
from llmvitals.incidents.view import Step, step
from llmvitals.rate_limit import Busy
from llmvitals.record.notification import Notification, Place
from llmvitals.window import FOREVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.incidents.store import IncidentStore
    from llmvitals.incidents.view import IncidentView
    from llmvitals.meters import Meters
    from llmvitals.rate_limit import RateLimits
    from llmvitals.record.incident import Incident
    from llmvitals.record.user_action import UserAction
    from llmvitals.routing import Route

    class Look(Protocol):
        """Gives an incident as a notifier is to show it, and its route; None where there is none."""

        def __call__(self, incident: str, notifier: str, /) -> tuple[IncidentView, Route] | None: ...


AT_RISK: Final = 8
"""The most notifications that a killed process may have sent to a channel and not marked, see
RateLimits.burst."""
_SKEW: Final = 60.0
"""How far Kafka's clock and the notifier's may differ, in seconds."""
_WAIT: Final = 0.5
_LONGEST: Final = 30.0
_CHECK: Final = 1.0
_LONGEST_CHECK: Final = 60.0


class Delivery(Protocol):
    """Brings notifications to people by one notifier; retries and rate limits are its own affair.

    name: of the notifier, the same after every restart: what it has said is remembered under it.
    """

    @property
    def name(self) -> str: ...

    async def open(self) -> None:
        """Make the connection's things; called once, in the loop that is used."""

    async def close(self) -> None:
        """Give everything back."""

    async def check(self) -> None:
        """Ask whether the notifier is there and knows us. Raises SinkError (retry)."""

    async def deliver(self, notification: Notification) -> Place | None:
        """Say it; the message's place, or None: it is refused for good.

        Raises SinkError (retry, retry_after in seconds) when it can't be said now.
        """

    async def look(self, notification: Notification) -> Place | None:
        """Look for a message that was posted without our knowing. Raises as `deliver` does."""

    def doubts(self, incident: str) -> bool:
        """Whether something about an incident may have been said although no answer came."""

    def troubles(self) -> Sequence[str]:
        """Why it can't deliver or listen at present, and what to do."""

    async def listen(self) -> None:
        """Begin to hear what people do; again after `rest`."""

    async def rest(self) -> None:
        """Hear nothing more; what was heard can still be taken."""

    def actions(self) -> Sequence[UserAction]:
        """Return what people did since the last call, oldest first."""


@dataclass(slots=True)
class Sender:
    """Sends by one delivery, and knows nothing of the others.

    replied: ids of incidents whose thread may have heard something without our knowing. pauses: until when
    (µs) a channel is left alone. checked: the notifier knows us; before it does, nothing is sent.
    """

    delivery: Delivery
    limits: RateLimits
    meters: Meters
    look: Look
    replied: set[str] = field(default_factory=set)
    pauses: dict[str, int] = field(default_factory=dict)
    checked: bool = False
    next_check: int = 0

    def restart(self, store: IncidentStore) -> None:
        """Expect, of everything that was restored, that the last owner sent some of it without marking it."""
        name = self.delivery.name
        self.replied = {incident.id for incident in store.incidents.values() if incident.by(name).posted}
        waiting: dict[str, list[Incident]] = {}
        for incident in store.incidents.values():
            if not incident.by(name).posted and incident.until is None and not incident.unheard:
                waiting.setdefault(incident.channel, []).append(incident)
        for incidents in waiting.values():
            for incident in sorted(incidents, key=lambda incident: (incident.born, incident.id))[:AT_RISK]:
                store.put(incident.with_sent(name, doubt=True))

    def posts(self, incident: str) -> bool:
        """Whether the incident's message is to be posted now."""
        found = self.look(incident, self.delivery.name)
        return found is not None and step(*found, self.limits.clock()).post

    async def ready(self) -> bool:
        """Whether the notifier knows us; asks it now and then until it does."""
        now = self.limits.clock()
        if not self.checked and now >= self.next_check:
            try:
                await self.delivery.check()
            except SinkError as error:
                wait = min(error.retry_after or _CHECK, _LONGEST_CHECK)
                self.next_check = now + int(wait * SECOND)
            else:
                self.checked = True
        return self.checked

    async def round(self, store: IncidentStore, due: Iterable[str]) -> dict[str, int]:
        """Send what is to be sent of these incidents; return for each when (µs) to look at it again.

        Channels go on beside one another: one that makes us wait holds up no other. First messages come
        before news of what people know. What there is no time for is due at once. Never raises SinkError.
        """
        due = list(due)
        if not await self.ready():
            return dict.fromkeys(due, self.next_check)
        until = self.limits.monotonic() + self.limits.patience
        channels: dict[str, list[Incident]] = {}
        for name in due:
            if (incident := store.incidents.get(name)) is not None:
                channels.setdefault(incident.channel, []).append(incident)
        rounds = []
        for incidents in channels.values():
            incidents.sort(key=self._order)
            rounds.append(self._channel(store, incidents, until))
        return {name: time for times in await asyncio.gather(*rounds) for name, time in times.items()}

    def _order(self, incident: Incident) -> tuple[bool, int, str]:
        return incident.by(self.delivery.name).posted, incident.born, incident.id

    async def _channel(self, store: IncidentStore, incidents: list[Incident], until: float) -> dict[str, int]:
        channel, times = incidents[0].channel, {}
        for incident in incidents:
            now = self.limits.clock()
            pause = self.pauses.get(channel, 0)
            if pause > now or self.limits.monotonic() >= until:
                # After a pause all of them are due together, so that a storm is seen as one.
                times[incident.id] = max(pause, now)
                continue
            try:
                times[incident.id] = await self._step(store, incident.id)
            except Busy as busy:
                times[incident.id] = now + int((busy.retry_after or _WAIT) * SECOND)
            except SinkError as error:
                times[incident.id] = self._put_off(store, incident, error)
        return times

    def _put_off(self, store: IncidentStore, incident: Incident, error: SinkError) -> int:
        """Leave the channel alone for a while; return until when."""
        if self.delivery.doubts(incident.id):
            now = store.incidents.get(incident.id)
            if now is not None and not now.by(self.delivery.name).posted:
                self._mark(store, incident.id, doubt=True)
        wait = min(error.retry_after or _WAIT, _LONGEST)
        self.pauses[incident.channel] = again = self.limits.clock() + int(wait * SECOND)
        return again

    async def _step(self, store: IncidentStore, name: str) -> int:
        """Do what is due; return when to look again. Raises SinkError."""
        found = self.look(name, self.delivery.name)
        if found is not None and found[0].sent.doubt:
            await self._search(store, found[0])
            found = self.look(name, self.delivery.name)
        if found is None:
            return FOREVER
        view, route = found
        now = self.limits.clock()
        todo = step(view, route, now)
        if not todo.sends:
            return todo.due
        if todo.again or todo.news:
            self._mark(store, name, again=now if todo.again else 0)
            view, _ = self.look(name, self.delivery.name) or found
        place = await self._deliver(view, todo, route)
        self._remember(store, view, todo, place)
        found = self.look(name, self.delivery.name)
        return FOREVER if found is None else step(*found, self.limits.clock()).due

    async def _search(self, store: IncidentStore, view: IncidentView) -> None:
        """Look for the message that may be there; then it is known what it was about when it was posted."""
        incident = view.incident
        place = await self.delivery.look(
            Notification(state=view.state, channel=incident.channel, since=_since(incident), uncertain=True)
        )
        if place is None:
            self._mark(store, incident.id, doubt=False)
            return
        where = (place.channel, place.ts)
        self._mark(store, incident.id, doubt=False, posted=True, place=where, spoke=self.limits.clock())
        self._mark_heard(store, view, news=True)

    async def _deliver(self, view: IncidentView, todo: Step, route: Route) -> Place | None:
        incident, sent = view.incident, view.sent
        replies = view.replies(news=todo.news) if todo.news or todo.answer else []
        notification = Notification(
            state=view.state,
            channel=incident.channel,
            place=Place(*sent.place) if sent.posted else None,
            replies=replies,
            uncertain=incident.id in self.replied and bool(replies),
            moved=todo.moved,
            since=_since(incident),
            thread=route.thread,
            mention=() if sent.posted else route.mention,
        )
        place = await self.delivery.deliver(notification)
        if replies:
            self.replied.discard(incident.id)
        return place

    def _remember(self, store: IncidentStore, view: IncidentView, todo: Step, place: Place | None) -> None:
        """Remember what people have seen; place None: they won't, it was refused for good."""
        incident, sent = view.incident, view.sent
        changed: dict[str, object] = {
            "shown": view.digest,
            "standing": view.standing,
            "edited": self.limits.clock(),
        }
        if todo.answer:
            owed = [("ack", incident.acknowledged is not None), ("calls", incident.asked)]
            changed["said"] = tuple(sorted({word for word, wanted in owed if wanted} | set(sent.said)))
        if todo.post or todo.news:
            changed |= {"spoke": self.limits.clock(), "hushed": False}
        if place is not None:
            changed |= {"posted": True, "place": (place.channel, place.ts)}
            self._count(view, todo)
        self._mark(store, incident.id, **changed)
        if place is not None or sent.posted:
            self._mark_heard(store, view, news=todo.post or todo.news)

    def _mark(self, store: IncidentStore, name: str, **changed: object) -> None:
        """Remember it beside what other notifiers, which are at work too, remember of the incident."""
        if (incident := store.incidents.get(name)) is not None:
            store.put(incident.with_sent(self.delivery.name, **changed))

    def _mark_heard(self, store: IncidentStore, view: IncidentView, *, news: bool) -> None:
        for episode, heard in view.heard(news=news):
            if (case := store.cases.get(episode)) is not None:
                store.put(replace(case, heard={**case.heard, self.delivery.name: heard}))

    def _count(self, view: IncidentView, todo: Step) -> None:
        self.meters.count("notifications", result="posted" if todo.post else "edited")
        if todo.news:
            self.meters.count("notifications", result="replied")
        if todo.post:
            breach = min(case.alert.changed for case in view.firing)
            seconds = max(self.limits.clock() - breach, 0) / SECOND
            self.meters.observe("breach_to_slack_seconds", seconds)


def _since(incident: Incident) -> float:
    """Return the time (s) before which no message about it can have been posted."""
    return incident.born / SECOND - _SKEW
