"""An incident as it is to be seen: which of its alerts are heard, its card, and what of it is news."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from llmvitals.notify.slack.thread import calls, reply
from llmvitals.record.message_state import MOST, MessageState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvitals.incidents.mutes import Muted
    from llmvitals.record.alert import Alert
    from llmvitals.record.incident import Case, Incident
    from llmvitals.record.matcher import Matcher

_URGENCY: Final = {"critical": 0, "page": 0, "error": 1, "warning": 2, "info": 4}


@dataclass(frozen=True)
class IncidentView:
    """incident: as it is remembered. cases: its alerts, at least one. muted: those that are, by episode.

    matchers: of its group; () where a storm made it.
    """

    incident: Incident
    cases: list[Case]
    muted: Mapping[str, Muted]
    matchers: tuple[Matcher, ...] = ()

    @cached_property
    def firing(self) -> list[Case]:
        """Alerts that fire."""
        return [case for case in self.cases if case.firing]

    @cached_property
    def unheard(self) -> tuple[Muted, ...]:
        """What mutes it: something for each alert that fires; () when one of them is to be heard."""
        found = [self.muted[case.id] for case in self.firing if case.id in self.muted]
        return tuple(dict.fromkeys(found)) if len(found) == len(self.firing) else ()

    @cached_property
    def card(self) -> MessageState:
        """What its message has to say."""
        chosen = heapq.nsmallest(MOST, self.cases, key=self._rank)
        incident, fires = self.incident, bool(self.firing)
        return MessageState(
            incident=incident.id,
            status="firing" if fires else "resolved",
            alerts=tuple(case.alert for case in chosen),
            firing=len(self.firing),
            total=len(self.cases) + incident.left,
            since=incident.since,
            until=None if fires else incident.until,
            acknowledged=incident.acknowledged if fires else None,
            unheard="; ".join(muted.reason for muted in self.unheard[:2]),
            digest=incident.digest,
            matchers=self.matchers,
            again=(incident.again or None) if fires else None,
            late=incident.late,
        )

    @cached_property
    def digest(self) -> str:
        """The same for the same card."""
        return hashlib.sha256(msgspec.json.encode(self.card)).hexdigest()[:16]

    @cached_property
    def news(self) -> list[Case]:
        """Alerts of which people would hear something else than they heard last."""
        return [case for case in self.cases if _changed(case) and case.id not in self.muted]

    @property
    def risen(self) -> bool:
        """Whether one of the news is that an alert passed another level."""
        return any(case.firing and case.told is not None and case.told[0] == "firing" for case in self.news)

    def replies(self, trace_url: str, *, news: bool) -> list[str]:
        """What its thread has to hear; news: of its alerts too, else only answers to people."""
        said, incident = [], self.incident
        if text := reply(self._before(news=news), self._after(news=news)):
            said.append(text)
        if incident.asked and "calls" not in incident.said:
            said.append(calls(self.card, trace_url=trace_url))
        return said

    def heard(self, *, news: bool) -> Iterable[Case]:
        """Its alerts that differ once its message is seen; news: and its thread has told the news.

        Of a muted alert that fires people will hear later; of one that is over they never will.
        """
        for case in self.cases:
            muted = case.id in self.muted
            if _changed(case) and (not case.firing if muted else news):
                yield msgspec.structs.replace(case, told=_state(case.alert))

    def _rank(self, case: Case) -> tuple[bool, bool, int, int, str]:
        alert = case.alert
        urgency = _URGENCY.get(alert.severity.lower(), 3)
        return not case.firing, case.id in self.muted, urgency, -alert.at, case.id

    def _after(self, *, news: bool) -> MessageState:
        """The card, with what is news on it, even where the message has no room for it."""
        changed = {case.id for case in self.cases if _changed(case)}
        shown = [alert for alert in self.card.alerts if alert.episode not in changed]
        if not news:
            return replace(self.card, alerts=tuple(shown) or self.card.alerts[:1])
        total = sum(case.told is not None for case in self.cases)
        total += sum(case.told is None for case in self.news)
        named = [case.alert for case in self.news]
        return replace(self.card, alerts=(*named, *shown) or self.card.alerts[:1], total=max(total, 1))

    def _before(self, *, news: bool) -> MessageState:
        """The card as people heard of it last."""
        incident = self.incident
        if not news:
            acknowledged = incident.acknowledged if "ack" in incident.said else None
            return replace(self._after(news=False), acknowledged=acknowledged)
        told = [case for case in self.cases if case.told is not None]
        fired = sum(case.told is not None and case.told[0] == "firing" for case in told)
        named = {alert.episode for alert in self._after(news=True).alerts}
        return replace(
            self.card,
            status="firing" if fired else "resolved",
            alerts=tuple(_as_told(case) for case in told if case.id in named),
            firing=fired,
            total=len(told),
            acknowledged=incident.acknowledged if "ack" in incident.said else None,
            unheard="muted" if incident.hushed else self.card.unheard,
        )


def _state(alert: Alert) -> tuple[str, str, str]:
    return alert.status, alert.level, alert.verdict


def _changed(case: Case) -> bool:
    if case.told is None or case.told[0] != case.alert.status:
        return case.firing or case.told is not None
    return case.firing and case.told != _state(case.alert)


def _as_told(case: Case) -> Alert:
    status, level, verdict = case.told or ("resolved", "", "")
    return msgspec.structs.replace(case.alert, status=status, level=level, verdict=verdict)
