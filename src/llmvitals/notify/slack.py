"""Alerts → one message per incident: posted once, edited at every news, green in the end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from llmvitals.errors import SinkError
from llmvitals.notify.backend import Backend, chosen
from llmvitals.notify.delivery import Counts, Delivery, Letter
from llmvitals.notify.tempo import Tempo
from llmvitals.record.alert import Alert
from llmvitals.record.card import Card, Place
from llmvitals.record.incident import Incident
from llmvitals.record.log import Message, Topic
from llmvitals.window import DAY, SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.log import Record
    from llmvitals.settings import Settings

log: Final = structlog.get_logger(__name__)

SHELF: Final = DAY
"""After a day on the topic a firing alert pages nobody, and a resolved incident may be forgotten."""
_SKEW: Final = 60.0
"""How far Kafka's clock and Slack's may differ, in seconds."""


class _Silent:
    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Nobody counts."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Nobody measures."""


class Notifier:
    """The stage behind the alerts topic.

    Its state is what the compacted topic of incidents holds. A change that an incident already shows, or
    one from before, is not news, so any record may come again. Slack has no idempotency key: after a crash
    between its answer and our mark the message is looked for by its metadata (scope `channels:history`,
    and a channel given by its id); without that there is at most one duplicate.

    Slack decides whether to edit: bot token (edits), webhook (posts again when the status changes or the
    level rises), neither (prints).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        counts: Counts | None = None,
        backend: Backend | None = None,
        tempo: Tempo | None = None,
    ) -> None:
        self._tempo = tempo or Tempo()
        self._backend = backend or chosen(settings, self._tempo.timeout)
        self._counts: Counts = counts or _Silent()
        self._channel = settings.slack_channel or ""
        self._delivery = Delivery(self._backend, self._channel, self._tempo, self._counts)
        self._max_age = duration(settings.max_alert_age)
        self._incidents: dict[str, Incident] = {}
        self._open = False
        self._started = 0

    async def start(self, history: Sequence[Record] | None) -> None:
        """Take up where the last owner stopped; again whenever partitions were assigned.

        history: the newest record of each key of the incidents topic. Raises SinkError (retry) while Slack
        is not there or does not know us.
        """
        self._started = self._tempo.clock()
        for record in history or ():
            with suppress(msgspec.MsgspecError):
                incident = Incident.decode(record.value or b"")
                mine = self._incidents.get(incident.id)
                if mine is None or _rank(incident) >= _rank(mine):
                    self._incidents[incident.id] = incident
        if not self._open:
            self._open = True
            await self._backend.open()
        await self._delivery.check()

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Bring the news in these records of the alerts topic to people.

        Returns the marks for the incidents topic, once all of it is delivered or refused for good. Of
        several changes of one incident the newest is said. Raises SinkError (retry) when Slack can't take
        it now, takes a storm too slowly, or has no channel for some of it (the rest is said); then, or
        after it was cancelled, the call is made again: what was delivered is only marked again.
        """
        del partition
        newest: dict[str, tuple[Alert, Record, bool]] = {}
        for record in records:
            alert = self._read(record)
            if alert is None:
                continue
            before = newest.get(alert.episode)
            fresh = self._fresh(alert, record) or (before is not None and before[2])
            if before is None or _rank(alert) >= _rank(before[0]):
                newest[alert.episode] = (alert, record, fresh)
        began, marks, over = self._tempo.monotonic(), [], self._over()
        later: list[SinkError] = []
        for alert, record, fresh in newest.values():
            if self._tempo.monotonic() - began > self._tempo.patience:
                why = "Slack: a storm of alerts, of which it takes one a second"
                raise SinkError(why, retry=True, retry_after=self._tempo.pace)
            try:
                incident = await self._say(alert, record, fresh=fresh)
            except SinkError as error:
                later.append(error)
                continue
            if incident:
                self._incidents[incident.id] = incident
                marks.append(Message(Topic.INCIDENTS, incident.id.encode(), incident.encode()))
        if later:
            why = "; ".join(dict.fromkeys(map(str, later)))
            after = min(error.retry_after or 0.5 for error in later)
            raise SinkError(why, retry=True, retry_after=after)
        for key in over:
            del self._incidents[key]
        return marks + [Message(Topic.INCIDENTS, key.encode(), None) for key in over]

    async def stop(self) -> None:
        """Give the connections back."""
        await self._backend.close()

    def health(self) -> str | None:
        """Why alerts don't reach people at present, and what to do; None when all is well."""
        return "; ".join(dict.fromkeys(self._delivery.trouble.values())) or None

    def _read(self, record: Record) -> Alert | None:
        try:
            return Alert.decode(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._counts.count("notifications", result="unreadable")
            log.warning("a record on the alerts topic is no alert", offset=record.offset)
            return None

    def _fresh(self, alert: Alert, record: Record) -> bool:
        """Whether a firing alert may page: it was young when it was written, and has not lain for a day.

        Its age is taken when it was written, so that an hour without Slack loses nothing.
        """
        now = self._tempo.clock()
        written = min(record.timestamp * 1_000, now) if record.timestamp > 0 else now
        return alert.status == "firing" and written - alert.at <= self._max_age and now - written <= SHELF

    async def _say(self, alert: Alert, record: Record, *, fresh: bool) -> Incident | None:
        """What the incident shows now, None where there is nothing to mark."""
        shown = self._incidents.get(alert.episode)
        if shown is not None and _rank(alert) <= _rank(shown):
            self._counts.count("notifications", result="known")
            # Its mark may have been lost with a cancelled call.
            return shown if _rank(alert) == _rank(shown) else None
        if shown is None and not fresh:
            self._counts.count("notifications", result="too_old" if alert.status == "firing" else "unheard")
            return None
        risen = shown is not None and (
            alert.status != shown.status or _threshold(alert.level) > _threshold(shown.level)
        )
        letter = Letter(
            card=Card.alone(alert),
            channel=alert.notify.get("slack") or self._channel,
            place=Place(shown.channel, shown.ts) if shown else None,
            replies=["news"] if risen and not self._backend.threads else [],
            sought=shown is None and record.timestamp * 1_000 < self._started,
            since=record.timestamp / 1_000 - _SKEW,
        )
        place = await self._delivery.bring(letter)
        if place is None:
            return None
        self._counts.count("notifications", result="edited" if shown else "posted")
        if shown is None and alert.status == "firing":
            self._counts.observe("breach_to_slack_seconds", max(self._tempo.clock() - alert.at, 0) / SECOND)
        return _shows(alert, place)

    def _over(self) -> list[str]:
        """Incidents that are over for so long that nothing about them can be news: let go of them."""
        before = self._tempo.clock() - SHELF - self._max_age
        return [i.id for i in self._incidents.values() if i.status == "resolved" and i.at < before]


def _threshold(level: str) -> float:
    """How high a level is: 80.0 for "80%", 0.0 for what is no number."""
    try:
        return float(level.rstrip("% ") or 0)
    except ValueError:
        return 0.0


def _shows(alert: Alert, place: Place) -> Incident:
    return Incident(
        id=alert.episode,
        status=alert.status,
        at=alert.at,
        level=alert.level,
        channel=place.channel,
        ts=place.ts,
        since=alert.since,
    )


def _rank(news: Alert | Incident) -> tuple[int, bool, float]:
    """What is newer: the later change, at one time the resolving one, then the higher threshold."""
    return news.at, news.status == "resolved", _threshold(news.level)
