"""What is to be done about an incident now, and when to look at it again: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from llmvitals.incidents.view import IncidentView
    from llmvitals.routing import Route


class Step(NamedTuple):
    """What to do.

    post: its message. edit: it shows what is over. news: its thread hears of its alerts; answer: of what
    people did. again: it is said once more that it fires. due: when to look again (µs).
    """

    post: bool = False
    edit: bool = False
    news: bool = False
    answer: bool = False
    again: bool = False
    due: int = FOREVER

    @property
    def letter(self) -> bool:
        """Whether anything has to be brought to people."""
        return self.post or self.edit or self.news or self.answer


def step(sight: IncidentView, route: Route, now: int) -> Step:
    """The next step for an incident.

    An edit disturbs nobody and is made at once; so are answers, a higher level, and what was kept quiet.
    Other news wait until the last is `interval` old, so what comes and goes in between is never told.
    """
    return _further(sight, route, now) if sight.incident.posted else _first(sight, route, now)


def _first(sight: IncidentView, route: Route, now: int) -> Step:
    incident = sight.incident
    refused = incident.shown == sight.digest
    if not sight.firing or sight.unheard or refused:
        return Step()
    begin = incident.born + route.wait
    return Step(due=begin) if begin > now else Step(post=True)


def _further(sight: IncidentView, route: Route, now: int) -> Step:
    incident, fires, quiet = sight.incident, bool(sight.firing), bool(sight.unheard)
    back = incident.hushed and fires and not quiet
    times = []
    news = back
    if sight.news and not news and not quiet:
        begin = incident.spoke if sight.risen else incident.spoke + route.interval
        news = begin <= now
        times += [] if news else [begin]
    again = False
    if fires and not quiet and incident.acknowledged is None:
        repeat = max(incident.spoke, incident.again) + route.repeat
        again = repeat <= now and not news
        times.append(repeat if repeat > now else now + route.repeat)
    acknowledged = incident.acknowledged is not None and "ack" not in incident.said and fires
    asked = incident.asked and "calls" not in incident.said
    return Step(
        edit=again or sight.digest != incident.shown,
        news=news,
        answer=acknowledged or asked,
        again=again,
        due=min(times, default=FOREVER),
    )
