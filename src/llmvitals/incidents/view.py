"""An incident as a notifier is to show it, what is news, and what it has to do about it now. Pure."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from llmvitals.record.notification import MOST, CallsRequested, MessageState, Muted, Reply, changes
from llmvitals.window import FOREVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmvitals.record.alert import Alert
    from llmvitals.record.incident import Case, Heard, Incident, Sent
    from llmvitals.record.matcher import Matcher
    from llmvitals.routing import Route

_URGENCY: Final = {"critical": 0, "page": 0, "error": 1, "warning": 2, "info": 4}
_MUTED: Final = (Muted("muted"),)

REFRESH: Final = 30 * SECOND
"""The least time between two edits that only show other values."""


@dataclass(frozen=True)
class IncidentView:
    """incident: as it is remembered. cases: its alerts, at least one. muted: what mutes them, by episode.

    matchers: of its group; () where a storm made it. notifier: whose messages this is about.
    """

    incident: Incident
    cases: list[Case]
    muted: Mapping[str, Muted]
    matchers: tuple[Matcher, ...]
    notifier: str

    @property
    def sent(self) -> Sent:
        """What the notifier has said of the incident."""
        return self.incident.by(self.notifier)

    @cached_property
    def firing(self) -> list[Case]:
        """Alerts that fire."""
        return [case for case in self.cases if case.firing]

    @cached_property
    def unheard(self) -> tuple[Muted, ...]:
        """What mutes the incident: something for each alert that fires; () unless all of them are muted."""
        mutes = [self.muted[case.id] for case in self.firing if case.id in self.muted]
        return tuple(dict.fromkeys(mutes)) if len(mutes) == len(self.firing) else ()

    @cached_property
    def state(self) -> MessageState:
        """What its message has to say."""
        chosen = heapq.nsmallest(MOST, self.cases, key=self._rank)
        incident, fires = self.incident, bool(self.firing)
        heard = [case.alert for case in self.cases if case.id not in self.apart]
        firing = [alert for alert in heard if alert.status == "firing"]
        return MessageState(
            incident=incident.id,
            status="firing" if fires else "resolved",
            alerts=tuple(case.alert for case in chosen),
            firing=len(firing),
            total=len(heard) + incident.left,
            since=incident.since,
            until=None if fires else incident.until,
            acknowledged=incident.acknowledged if fires else None,
            unheard=self.unheard[:2],
            digest=incident.digest,
            matchers=self.matchers,
            again=(self.sent.again or None) if fires else None,
            late=incident.late,
            muted=self.apart,
            rules=len({alert.rule for alert in heard}),
            blocked=sum(alert.verdict == "block" for alert in firing),
        )

    @cached_property
    def apart(self) -> frozenset[str]:
        """The alerts that are muted while others that fire are heard, by episode."""
        if self.unheard or not self.firing:
            return frozenset()
        return frozenset(case.id for case in self.cases if case.id in self.muted)

    @cached_property
    def digest(self) -> str:
        """The same for the same state, in every process: a set has no order of its own."""
        return _hashed(self.state)

    @cached_property
    def standing(self) -> str:
        """The same for the same state but for values."""
        alerts = [(alert.episode, *_heard(alert)) for alert in self.state.alerts]
        return _hashed((replace(self.state, alerts=()), alerts))

    @cached_property
    def news(self) -> list[Case]:
        """Alerts that stand otherwise than people heard last, and are not muted."""
        return [case for case in self.cases if self._changed(case) and case.id not in self.muted]

    @property
    def risen(self) -> bool:
        """Whether one of the news is that an alert passed another level."""
        return any(case.firing and self._fired(case) for case in self.news)

    def replies(self, *, news: bool) -> list[Reply]:
        """Return what its thread has to say; news: of its alerts too, else only answers to people."""
        replies = []
        after = self._after(news=news)
        if found := changes(self._before(after, news=news), after):
            replies.append(Reply(after, found))
        if self.incident.asked and "calls" not in self.sent.said:
            replies.append(Reply(self.state, (CallsRequested(),)))
        return replies

    def heard(self, *, news: bool) -> Iterator[tuple[str, Heard]]:
        """Return what people have heard, by episode, once its message is seen; news: and its thread's news.

        Of a muted alert that fires people will hear later; of one that is over they never will.
        """
        for case in self.cases:
            muted = case.id in self.muted
            if self._changed(case) and (not case.firing if muted else news):
                yield case.id, _heard(case.alert)

    def _rank(self, case: Case) -> tuple[bool, bool, int, int, str]:
        alert = case.alert
        urgency = _URGENCY.get(alert.severity.lower(), 3)
        return not case.firing, case.id in self.muted, urgency, -alert.at, case.id

    def _after(self, *, news: bool) -> MessageState:
        """Return the state with what is news in it, even where the message has no room for it."""
        changed = {case.id for case in self.cases if self._changed(case)}
        known = [alert for alert in self.state.alerts if alert.episode not in changed]
        if not news:
            return replace(self.state, alerts=tuple(known) or self.state.alerts[:1])
        total = sum(self._last(case) is not None for case in self.cases)
        total += sum(self._last(case) is None for case in self.news)
        new = [case.alert for case in self.news]
        return replace(self.state, alerts=(*new, *known) or self.state.alerts[:1], total=max(total, 1))

    def _before(self, after: MessageState, *, news: bool) -> MessageState:
        """Return the state as people heard of it last."""
        acknowledged = self.incident.acknowledged if "ack" in self.sent.said else None
        if not news:
            return replace(after, acknowledged=acknowledged)
        heard = [case for case in self.cases if self._last(case) is not None]
        fired = sum(self._fired(case) for case in heard)
        shown = {alert.episode for alert in after.alerts}
        return replace(
            self.state,
            status="firing" if fired else "resolved",
            alerts=tuple(self._as_heard(case) for case in heard if case.id in shown),
            firing=fired,
            total=len(heard),
            acknowledged=acknowledged,
            unheard=_MUTED if self.sent.hushed else self.state.unheard,
        )

    def _last(self, case: Case) -> Heard | None:
        return case.heard.get(self.notifier)

    def _fired(self, case: Case) -> bool:
        """Whether people heard last that it fires."""
        last = self._last(case)
        return last is not None and last[0] == "firing"

    def _changed(self, case: Case) -> bool:
        last = self._last(case)
        if last is None or last[0] != case.alert.status:
            return case.firing or last is not None
        return case.firing and last != _heard(case.alert)

    def _as_heard(self, case: Case) -> Alert:
        status, level, verdict = self._last(case) or ("resolved", "", "")
        return msgspec.structs.replace(case.alert, status=status, level=level, verdict=verdict)


def _hashed(state: object) -> str:
    return hashlib.sha256(msgspec.json.encode(state, order="deterministic")).hexdigest()[:16]


def _heard(alert: Alert) -> Heard:
    return alert.status, alert.level, alert.verdict


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
