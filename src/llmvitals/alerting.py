"""Puts the sink of alerts together: incidents, and the notifiers that the settings configure.

A replay passes alerts through that sink under a clock of event time, and writes down what people would be
told.
"""

from __future__ import annotations

import html
import itertools
import re
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from llmvitals.incidents import IncidentSink
from llmvitals.meters import Unmetered
from llmvitals.notify.delivery import Delivery
from llmvitals.notify.protocol import Answer, Notifier
from llmvitals.notify.registry import deliveries
from llmvitals.notify.slack.thread import drawn
from llmvitals.notify.terminal import text
from llmvitals.rate_limit import RateLimits
from llmvitals.record.log import Logged, Topic
from llmvitals.record.notification import Place
from llmvitals.record.verdict import Verdict, verdict_key
from llmvitals.window import DAY, MINUTE, SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.alert import Alert
    from llmvitals.record.incident import Case
    from llmvitals.record.log import Message
    from llmvitals.record.notification import MessageState, Reply
    from llmvitals.routing import Routing
    from llmvitals.settings import Settings

_MARKUP: Final = re.compile(r"<(?:!date\^[^|>]*|[^|>]*)\|([^>]*)>|`")
"""A time or a link of Slack's, of which the text is kept, or the mark of code."""

DEFAULT_CHANNEL: Final = "(default)"
"""The channel of alerts that neither their rule, a route nor the settings send elsewhere."""
_LATEST: Final = 400 * 365 * DAY
"""No alert of a file is too old to be told, and none is forgotten before its end."""
_STEP: Final = SECOND
"""The least time between two ticks."""


@dataclass(frozen=True, slots=True)
class Told:
    """What people read. at: when (µs). what: a message, or a reply in the thread of one."""

    at: int
    incident: str
    channel: str
    what: Literal["message", "reply"]
    text: str


@dataclass
class Transcript(Notifier):
    """Edits notify nobody, and are not written down.

    now: µs. told: in the order of time.
    """

    now: int = 0
    told: list[Told] = field(default_factory=list)

    name = "transcript"
    title = "the transcript"
    threads = True

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        """Write a message down."""
        del plain
        self.told.append(Told(self.now, state.incident, channel, "message", text(state, channel)))
        return Answer(place=Place(channel, state.incident))

    async def edit(self, place: Place, state: MessageState, *, plain: bool) -> Answer:
        """Write nothing down."""
        del state, plain
        return Answer(place=place)

    async def reply(self, place: Place, reply: Reply) -> Answer:
        """Write a reply down."""
        said = html.unescape(_MARKUP.sub(lambda found: found[1] or "", drawn(reply)))
        self.told.append(Told(self.now, place.ts, place.channel, "reply", said))
        return Answer(place=place)


def incident_sink(
    settings: Settings,
    routing: Routing | None = None,
    *,
    meters: Meters | None = None,
    limits: RateLimits | None = None,
) -> IncidentSink:
    """Return the sink for the alerts topic. routing: as the rules say."""
    limits, meters = limits or RateLimits(patience=2.0), meters or Unmetered()
    return IncidentSink(
        deliveries(settings, meters=meters, limits=limits),
        routing,
        max_age=duration(settings.max_alert_age),
        channel=settings.slack_channel or "",
        meters=meters,
        limits=limits,
    )


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
