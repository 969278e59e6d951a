"""Alerts → one message per incident: posted once, edited at every news, green in the end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from rich.console import Console

from llmvitals.errors import SinkError
from llmvitals.notify.answer import Answer, Backend
from llmvitals.notify.bot import Bot
from llmvitals.notify.delivery import Counts, Delivery, Letter, Tempo
from llmvitals.notify.message import notice, threshold
from llmvitals.notify.terminal import Terminal
from llmvitals.notify.webhook import Webhook
from llmvitals.record.alert import Alert
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
        self._backend = backend or chosen(settings, self._tempo)
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
        self._delivery.nowhere.clear()
        began, marks, over = self._tempo.monotonic(), [], self._over()
        for alert, record, fresh in newest.values():
            if self._tempo.monotonic() - began > self._tempo.patience:
                why = "Slack: a storm of alerts, of which it takes one a second"
                raise SinkError(why, retry=True, retry_after=self._tempo.pace)
            if incident := await self._say(alert, record, fresh=fresh):
                self._incidents[incident.id] = incident
                marks.append(Message(Topic.INCIDENTS, incident.id.encode(), incident.encode()))
        if nowhere := self._delivery.nowhere:
            why = "; ".join(dict.fromkeys(nowhere.values()))
            raise SinkError(why, retry=True, retry_after=self._tempo.slow)
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
        letter = Letter(
            incident=alert.episode,
            channel=alert.notify.get("slack") or self._channel,
            said=notice(alert),
            shown=shown,
            sought=shown is None and record.timestamp * 1_000 < self._started,
            since=record.timestamp / 1_000 - _SKEW,
        )
        answer = await self._delivery.bring(letter, lambda found: _shows(alert, found))
        if answer is None:
            return None
        self._counts.count("notifications", result="edited" if letter.shown else "posted")
        if shown is None and alert.status == "firing":
            self._counts.observe("breach_to_slack_seconds", max(self._tempo.clock() - alert.at, 0) / SECOND)
        place = answer if answer.ts or shown is None else Answer(channel=shown.channel, ts=shown.ts)
        return _shows(alert, place)

    def _over(self) -> list[str]:
        """Incidents that are over for so long that nothing about them can be news: let go of them."""
        before = self._tempo.clock() - SHELF - self._max_age
        return [i.id for i in self._incidents.values() if i.status == "resolved" and i.at < before]


def chosen(settings: Settings, tempo: Tempo) -> Backend:
    """The way to people that the settings ask for: bot token, webhook or the terminal."""
    if settings.slack_token is not None:
        token = settings.slack_token.get_secret_value()
        return Bot(token, settings.slack_api_url, timeout=tempo.timeout)
    if settings.slack_webhook is not None:
        log.warning(
            "a webhook can't edit: incidents are posted again when their level rises or status changes"
        )
        return Webhook(settings.slack_webhook.get_secret_value(), timeout=tempo.timeout)
    log.info("no Slack is set: alerts are printed")
    return Terminal(Console())


def _shows(alert: Alert, place: Answer) -> Incident:
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
    return news.at, news.status == "resolved", threshold(news.level)
