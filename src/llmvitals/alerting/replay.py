"""Replays alerts through the sink of incidents under a clock of event time: what people would be told."""

from __future__ import annotations

import itertools
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.incidents import IncidentSink
from llmvitals.meters import Unmetered
from llmvitals.notify.delivery import Delivery
from llmvitals.notify.transcript import Told, Transcript
from llmvitals.rate_limit import RateLimits
from llmvitals.record.log import Logged, Topic
from llmvitals.record.verdict import Verdict, verdict_key
from llmvitals.window import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.incident import Case
    from llmvitals.record.log import Message
    from llmvitals.routing import Routing

DEFAULT_CHANNEL: Final = "(default)"
"""The channel of alerts that neither their rule, a route nor the settings send elsewhere."""
_LATEST: Final = 400 * 365 * DAY
"""No alert of a file is too old to be told, and none is forgotten before its end."""
_STEP: Final = SECOND
"""The least time between two ticks."""


class IncidentReplay:
    """The sink of incidents without Kafka and Slack; its clock is the time of the alerts.

    channel: where alerts go that neither their rule nor a route sends elsewhere.
    """

    def __init__(self, routing: Routing, channel: str) -> None:
        self._transcript = Transcript()
        self._verdicts: dict[bytes, Verdict] = {}
        self._minutely = bool(routing.mute_times)
        limits = RateLimits(
            pace=0.0,
            edit_pace=0.0,
            clock=lambda: self._transcript.now,
            monotonic=lambda: self._transcript.now / SECOND,
            sleep=_no_time,
        )
        delivery = Delivery(self._transcript, channel, limits, Unmetered())
        self._sink = IncidentSink([delivery], routing, max_age=_LATEST, channel=channel, limits=limits)

    async def run(self, alerts: Iterable[Alert], until: int) -> None:
        """Tell of alerts, which come in the order of their times, and let time pass up to `until` (µs)."""
        await self._sink.start(None)
        # What comes at the same time is told together, as the records of a batch are.
        for at, together in itertools.groupby(alerts, key=attrgetter("at")):
            await self._pass(at)
            records = [Logged(0, at // 1_000, alert.encode(), alert.group.encode()) for alert in together]
            self._keep(await self._sink.take(0, records))
            await self._tick()
        await self._pass(until)
        await self._tick()
        await self._sink.stop()

    @property
    def told(self) -> Sequence[Told]:
        """What people would have read, in the order of time."""
        return self._transcript.told

    def rows(self) -> list[dict[str, Any]]:
        """Each incident as it stands, one row a series and facet, in the order in which they began."""
        cases = sorted(self._sink.cases(), key=lambda case: (case.alert.since, case.id))
        told: dict[str, list[Told]] = {}
        for one in self.told:
            told.setdefault(one.incident, []).append(one)
        return [self._row(case, told.get(case.incident, ())) for case in cases]

    async def _pass(self, until: int) -> None:
        """Let time pass, and tick whenever something is due."""
        while True:
            due = self._sink.due
            if self._minutely:
                due = min(due, (self._transcript.now // MINUTE + 1) * MINUTE)
            if due >= until or not self._transcript.now:
                self._transcript.now = max(self._transcript.now, until)
                return
            self._transcript.now = max(due, self._transcript.now + _STEP)
            await self._tick()

    async def _tick(self) -> None:
        """Tick twice: a digest that one tick makes is sent by the next."""
        for _ in range(2):
            self._keep(await self._sink.tick())

    def _keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.topic is Topic.VERDICTS and message.value is None:
                self._verdicts.pop(message.key, None)
            elif message.topic is Topic.VERDICTS:
                self._verdicts[message.key] = Verdict.decode(message.value or b"")

    def _row(self, case: Case, told: Sequence[Told]) -> dict[str, Any]:
        alert = case.alert
        names = ("rule", "kind", "facet", "level", "severity", "labels", "status", "since", "until", "unit")
        verdict = self._verdict(alert)
        return {
            "incident": case.incident,
            **{name: getattr(alert, name) for name in names},
            **{name: getattr(alert, name) for name in ("value", "peak", "limit", "at", "summary", "cause")},
            "outlook": msgspec.to_builtins(alert.outlook),
            "unpriced": alert.unpriced,
            "verdict": verdict.verdict if verdict else "",
            "gateway": msgspec.to_builtins(verdict),
            "receivers": sorted({one.channel for one in told}),
            "messages": [one.text for one in told],
        }

    def _verdict(self, alert: Alert) -> Verdict | None:
        if alert.gate is None:
            return None
        return self._verdicts.get(verdict_key(alert.rule, alert.gate.series))


async def _no_time(seconds: float) -> None:
    """Sending takes no event time."""
    del seconds
