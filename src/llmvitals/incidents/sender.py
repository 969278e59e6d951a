"""What is due is brought to people, channel by channel, and remembered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmvitals.errors import SinkError
from llmvitals.incidents.next_step import step
from llmvitals.notify.delivery import Letter
from llmvitals.rate_limit import Busy
from llmvitals.record.message_state import Place
from llmvitals.window import FOREVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from llmvitals.incidents.next_step import Step
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.incidents.view import IncidentView
    from llmvitals.meters import Meters
    from llmvitals.rate_limit import RateLimits
    from llmvitals.record.incident import Incident
    from llmvitals.routing import Route

    class Post(Protocol):
        """Brings letters to people; notify's Delivery is one."""

        async def bring(self, letter: Letter) -> Place | None:
            """See Delivery.bring."""

        async def look(self, letter: Letter) -> Place | None:
            """See Delivery.look."""

        def doubts(self, incident: str) -> bool:
            """See Delivery.doubts."""


AT_RISK: Final = 8
"""So many letters of a channel may be under way, unmarked, when a process is killed: see Tempo.burst."""
_SKEW: Final = 60.0
"""How far Kafka's clock and Slack's may differ, in seconds."""
_WAIT: Final = 0.5
_LONGEST: Final = 30.0


@dataclass(slots=True)
class Tell:
    """look: an incident as it is to be seen, and its route; None where it is no more.

    replied: ids of incidents whose thread may have heard something without our knowing. pauses: until when
    (µs) a channel is left alone.
    """

    post: Post
    tempo: RateLimits
    meters: Meters
    trace_url: str
    look: Callable[[str], tuple[IncidentView, Route] | None]
    replied: set[str] = field(default_factory=set)
    pauses: dict[str, int] = field(default_factory=dict)

    def restart(self, book: IncidentStore) -> None:
        """All of it was restored: the last owner may have told of some without marking it."""
        self.replied = {incident.id for incident in book.incidents.values() if incident.posted}
        waiting: dict[str, list[Incident]] = {}
        for incident in book.incidents.values():
            if not incident.posted and incident.until is None and not incident.unheard:
                waiting.setdefault(incident.channel, []).append(incident)
        for found in waiting.values():
            for incident in sorted(found, key=lambda one: (one.born, one.id))[:AT_RISK]:
                book.put(replace(incident, doubt=True))

    async def round(self, book: IncidentStore, due: Iterable[str]) -> dict[str, int]:
        """Tell what is to be told of these; each with the time (µs) at which to look again.

        Channels go on beside one another: one that makes us wait holds up nobody else. First messages come
        before news of what people know. What there is no time for is due at once. Never raises SinkError.
        """
        until = self.tempo.monotonic() + self.tempo.patience
        channels: dict[str, list[Incident]] = {}
        for name in due:
            if (incident := book.incidents.get(name)) is not None:
                channels.setdefault(incident.channel, []).append(incident)
        rounds = []
        for incidents in channels.values():
            incidents.sort(key=lambda incident: (incident.posted, incident.born, incident.id))
            rounds.append(self._channel(book, incidents, until))
        return {name: time for found in await asyncio.gather(*rounds) for name, time in found.items()}

    async def _channel(self, book: IncidentStore, incidents: list[Incident], until: float) -> dict[str, int]:
        channel, times = incidents[0].channel, {}
        for incident in incidents:
            now = self.tempo.clock()
            pause = self.pauses.get(channel, 0)
            if pause > now or self.tempo.monotonic() >= until:
                # After a pause all of them are due together, so that a storm is seen as one.
                times[incident.id] = max(pause, now)
                continue
            try:
                times[incident.id] = await self._step(book, incident.id)
            except Busy as busy:
                times[incident.id] = now + int((busy.retry_after or _WAIT) * SECOND)
            except SinkError as error:
                times[incident.id] = self._put_off(book, incident.id, error)
        return times

    def _put_off(self, book: IncidentStore, name: str, error: SinkError) -> int:
        """The channel can't be told anything now; when to try again."""
        incident = book.incidents[name]
        if self.post.doubts(name) and not incident.posted:
            book.put(replace(incident, doubt=True))
        wait = min(error.retry_after or _WAIT, _LONGEST)
        self.pauses[incident.channel] = again = self.tempo.clock() + int(wait * SECOND)
        return again

    async def _step(self, book: IncidentStore, name: str) -> int:
        """Do what is due; when to look again. Raises SinkError."""
        found = self.look(name)
        if found is not None and found[0].incident.doubt:
            await self._seek(book, found[0])
            found = self.look(name)
        if found is None:
            return FOREVER
        sight, route = found
        now = self.tempo.clock()
        todo = step(sight, route, now)
        if not todo.letter:
            return todo.due
        if todo.again or todo.news:
            again = now if todo.again else 0
            book.put(replace(sight.incident, again=again))
            sight, _ = self.look(name) or found
        place = await self._bring(sight, todo)
        self._told(book, sight, todo, place)
        return step(*(self.look(name) or found), self.tempo.clock()).due

    async def _seek(self, book: IncidentStore, sight: IncidentView) -> None:
        """Look for the message that may be there; then it is known what it was about when it was posted."""
        incident = sight.incident
        letter = Letter(card=sight.card, channel=incident.channel, since=_since(incident), sought=True)
        place = await self.post.look(letter)
        if place is None:
            book.put(replace(incident, doubt=False))
            return
        where = (place.channel, place.ts)
        book.put(replace(incident, doubt=False, posted=True, place=where, spoke=self.tempo.clock()))
        for case in sight.heard(news=True):
            book.put(case)

    async def _bring(self, sight: IncidentView, todo: Step) -> Place | None:
        incident = sight.incident
        replies = sight.replies(self.trace_url, news=todo.news) if todo.news or todo.answer else []
        letter = Letter(
            card=sight.card,
            channel=incident.channel,
            place=Place(*incident.place) if incident.posted else None,
            replies=replies,
            sought=incident.id in self.replied and bool(replies),
            since=_since(incident),
        )
        place = await self.post.bring(letter)
        if replies:
            self.replied.discard(incident.id)
        return place

    def _told(self, book: IncidentStore, sight: IncidentView, todo: Step, place: Place | None) -> None:
        """Remember what people have seen; place None: they won't, it was refused for good."""
        incident, now = sight.incident, self.tempo.clock()
        changed = replace(incident, shown=sight.digest)
        if todo.answer:
            owed = [("ack", incident.acknowledged is not None), ("calls", incident.asked)]
            done = {word for word, wanted in owed if wanted} | set(incident.said)
            changed = replace(changed, said=tuple(sorted(done)))
        if todo.post or todo.news:
            changed = replace(changed, spoke=now, hushed=False)
        if place is not None:
            changed = replace(changed, posted=True, place=(place.channel, place.ts))
            self._count(sight, todo)
        book.put(changed)
        if place is not None or incident.posted:
            for case in sight.heard(news=todo.post or todo.news):
                book.put(case)

    def _count(self, sight: IncidentView, todo: Step) -> None:
        self.meters.count("notifications", result="posted" if todo.post else "edited")
        if todo.news:
            self.meters.count("notifications", result="replied")
        if todo.post:
            breach = min(case.alert.at for case in sight.firing)
            seconds = max(self.tempo.clock() - breach, 0) / SECOND
            self.meters.observe("breach_to_slack_seconds", seconds)


def _since(incident: Incident) -> float:
    """No message about it can be older, in seconds."""
    return incident.born / SECOND - _SKEW
