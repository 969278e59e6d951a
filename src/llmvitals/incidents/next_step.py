"""What a notifier has to do about an incident now, and when to look at it again: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.window import FOREVER, SECOND

if TYPE_CHECKING:
    from llmvitals.incidents.view import IncidentView
    from llmvitals.routing import Route

REFRESH: Final = 30 * SECOND
"""The least time between two edits that only show other values."""


class Step(NamedTuple):
    """What to do.

    post: post the message. edit: edit it, since it shows an old state. moved: only values
    have changed. news: say in its thread what changed about its alerts; answer: what people did. again:
    repeat that it still fires. due: when to look again (µs).
    """

    post: bool = False
    edit: bool = False
    moved: bool = False
    news: bool = False
    answer: bool = False
    again: bool = False
    due: int = FOREVER

    @property
    def sends(self) -> bool:
        """Whether there is anything to send."""
        return self.post or self.edit or self.news or self.answer


def step(view: IncidentView, route: Route, now: int) -> Step:
    """Return the next step for an incident.

    Edits notify nobody and are made at once; so are answers, a higher level, and news after a mute. Other
    news wait until the last is `interval` old, so what comes and goes in between is never sent.
    """
    return _further(view, route, now) if view.sent.posted else _first(view, route, now)


def _first(view: IncidentView, route: Route, now: int) -> Step:
    refused = view.sent.shown == view.digest
    if not view.firing or view.unheard or refused:
        return Step()
    begin = view.incident.born + route.wait
    return Step(due=begin) if begin > now else Step(post=True)


def _further(view: IncidentView, route: Route, now: int) -> Step:
    incident, sent, fires, quiet = view.incident, view.sent, bool(view.firing), bool(view.unheard)
    news = sent.hushed and fires and not quiet
    times = []
    if view.news and not news and not quiet:
        begin = sent.spoke if view.risen else sent.spoke + route.interval
        news = begin <= now
        times += [] if news else [begin]
    again = False
    if fires and not quiet and incident.acknowledged is None:
        repeat = max(sent.spoke, sent.again) + route.repeat
        again = repeat <= now and not news
        times.append(repeat if repeat > now else now + route.repeat)
    acknowledged = incident.acknowledged is not None and "ack" not in sent.said and fires
    asked = incident.asked and "calls" not in sent.said
    edit, answer = again or view.digest != sent.shown, acknowledged or asked
    moved = edit and view.standing == sent.standing and not (again or answer)
    if moved and now < sent.edited + REFRESH:
        edit = moved = False
        times.append(sent.edited + REFRESH)
    return Step(
        edit=edit,
        moved=moved,
        news=news,
        answer=answer,
        again=again,
        due=min(times, default=FOREVER),
    )
