"""A desk between topics in memory and a FakeSlack, under a clock that only tests move."""

from __future__ import annotations

import asyncio
import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from llmvitals.alerting import incident_sink
from llmvitals.incidents import IncidentSink
from llmvitals.meters import Unmetered
from llmvitals.notify.delivery import Delivery
from llmvitals.rate_limit import RateLimits
from llmvitals.record.alert import Alert, fingerprint
from llmvitals.record.incident import Case, Incident
from llmvitals.record.incident import decode as entry
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.matcher import parsed
from llmvitals.record.point import Point
from llmvitals.record.point import decode as decode_points
from llmvitals.record.user_action import Acknowledgement, Question, Silence, UserAction, decode, encode
from llmvitals.record.watermark import Watermark
from llmvitals.settings import Settings
from llmvitals.window import duration
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.backtest.replay import Replay
    from llmvitals.meters import Meters
    from llmvitals.notify.protocol import Notifier
    from llmvitals.routing import Routing
    from llmvitals.testing import FakeSlack

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_735_732_800 * SECOND


def alert(team: str = "search", status: str = "firing", **changes: Any) -> Alert:
    """A change of the alert on a team's budget; `at` is when it changed, `begin` names the episode."""
    labels = {"team": team, **changes.pop("labels", {})}
    rule = changes.setdefault("rule", "TeamBudget")
    mark, begin = fingerprint(rule, labels), changes.pop("begin", NOW)
    fields: dict[str, Any] = {
        "kind": "budget", "status": status, "severity": "critical", "fingerprint": mark,
        "episode": f"{mark}-{begin}", "group": "g", "labels": labels, "metric": "cost", "unit": "usd",
        "value": 64.0, "limit": 100.0, "since": begin, "at": NOW, "exemplars": [f"trace-{team}"],
    }  # fmt: skip
    fields |= changes
    if status == "resolved":
        fields.setdefault("until", fields["at"])
    return Alert(**fields)


def slow(app: str = "chat", status: str = "firing", **changes: Any) -> Alert:
    """A change of the alert on an app's latency: grouped by its rule."""
    fields = {"rule": "SlowAnswers", "kind": "threshold", "unit": "ms", "metric": "latency_p95"}
    return alert("", status, **{"labels": {"app": app}, "severity": "warning", **fields, **changes})


class World:
    """Topics, Slack, a clock, and the desk that is at work.

    incidents, silences, marks: the compacted topics, key → value. points: every point written. patience:
    seconds that a request to a notifier may take.
    `start` makes the desk of settings, routing, notifiers and meters as they are then.
    """

    desk: IncidentSink
    patience = 10.0

    def __init__(self, slack: FakeSlack, routing: Routing | None = None, **settings: Any) -> None:
        self.slack, self.routing, self.now = slack, routing, NOW
        fields = {"slack_token": slack.token, "slack_channel": "#alerts", "slack_api_url": slack.url}
        self.settings = Settings(**(fields | settings))
        self.incidents: dict[bytes, bytes] = {}
        self.silences: dict[bytes, bytes] = {}
        self.marks: dict[bytes, bytes] = {}
        self.points: list[Point] = []
        self.verdicts: list[Message] = []
        self.news: list[Logged] = []
        self.notifiers: list[Notifier] = []
        self.meters: Meters | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def made(self) -> IncidentSink:
        limits = RateLimits(
            timeout=deadline(self.patience), clock=lambda: self.now, monotonic=lambda: self.now / SECOND, sleep=self._sleep,
            patience=2.0,
        )  # fmt: skip
        if not self.notifiers:
            return incident_sink(self.settings, self.routing, limits=limits, meters=self.meters)
        meters, channel = self.meters or Unmetered(), self.settings.slack_channel or ""
        deliveries = [Delivery(notifier, channel, limits, meters) for notifier in self.notifiers]
        max_age = duration(self.settings.max_alert_age)
        return IncidentSink(
            deliveries, self.routing, max_age=max_age, channel=channel, meters=meters, limits=limits
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        await asyncio.sleep(0)

    async def start(self) -> None:
        history = [Logged(n, 0, value, key) for n, (key, value) in enumerate(self.incidents.items())]
        self.desk = self.made()
        await self.desk.start(history)
        self.news.clear()
        beside = self.silences | self.marks
        self.desk.hear([Logged(n, 0, value, key) for n, (key, value) in enumerate(beside.items())])

    async def stop(self) -> None:
        await self.desk.stop()

    async def restart(self) -> None:
        """The process was killed: what was not written is lost."""
        await self.stop()
        await self.start()

    def keep(self, messages: list[Message]) -> None:
        """What Kafka does with what is sent."""
        for message in messages:
            if message.topic is Topic.VITALS:
                self.points += decode_points(message.value or b"")
            elif message.topic is Topic.VERDICTS:
                self.verdicts.append(message)
            else:
                topic = self.incidents if message.topic is Topic.INCIDENTS else self.silences
                topic.pop(message.key, None)
                if message.value is not None:
                    topic[message.key] = message.value
                if topic is self.silences:
                    self.news.append(Logged(0, 0, message.value, message.key))

    async def take(self, *alerts: Alert, written: int | None = None) -> None:
        at = (self.now if written is None else written) // 1_000
        self.keep(await self.desk.take(0, [Logged(n, at, a.encode()) for n, a in enumerate(alerts)]))

    def upto(self, time: int, shard: int = 0, shards: int = 1) -> None:
        """A shard of merge has said all that calls before this time bring about."""
        mark = Watermark(shard=shard, shards=shards, time=time)
        self.marks[mark.key] = mark.encode()
        self.desk.hear([Logged(0, self.now // 1_000, mark.encode(), mark.key)])

    def act(self, act: UserAction) -> None:
        """Somebody writes to the topic of silences."""
        self.keep([Message(Topic.SILENCES, act.key, encode(act))])

    async def ticked(self) -> list[Message]:
        """What a tick gives, before any of it is written."""
        self.desk.hear(self.news)
        self.news.clear()
        return await self.desk.tick()

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.keep(await self.ticked())

    async def say(self, *alerts: Alert) -> None:
        """They come in, and what is due is told."""
        await self.take(*alerts)
        await self.tick(2)

    async def wait(self, micros: int, step: int = MINUTE) -> None:
        """Time goes by, and the desk ticks."""
        end = self.now + micros
        while self.now < end:
            self.now = min(self.now + step, end)
            await self.tick()
        await self.tick()

    async def live(self, stages: Replay, calls: Iterable[tuple[int, bytes]]) -> list[Alert]:
        """Run calls (when each ends, µs; the record), with each minute passing at the desk; returns the alerts.

        The stages read a quarter of an hour at once, which gives the same alerts as minute by minute.
        """
        alerts = list[Alert]()
        for quarter, batch in groupby(enumerate(calls), lambda each: each[1][0] // (15 * MINUTE)):
            messages = stages.feed([Logged(offset, at // 1_000, record) for offset, (at, record) in batch])
            news = [Alert.decode(each.value or b"") for each in messages if each.topic is Topic.ALERTS]
            alerts += news
            for minute in range(15):
                self.now = (quarter * 15 + minute + 1) * MINUTE
                await self.take(*(alert for alert in news if alert.at <= self.now))
                news = [alert for alert in news if alert.at > self.now]
                await self.tick()
            assert not news
        return alerts

    def silence(self, *matchers: str, last: int = HOUR, **changes: Any) -> Silence:
        fields: dict[str, Any] = {
            "id": "s1", "matchers": tuple(map(parsed, matchers)), "starts": self.now,
            "ends": self.now + last, "by": "Ann",
        }  # fmt: skip
        return Silence(**(fields | changes))

    def open(self) -> list[Incident]:
        """Incidents that last, as they are written."""
        return [one for one in self.written() if isinstance(one, Incident) and one.until is None]

    def written(self) -> list[Case | Incident]:
        return [entry(value) for value in self.incidents.values()]

    def ack(self, by: str = "Ann") -> Acknowledgement:
        return Acknowledgement(incident=self.open()[0].id, by=by, at=self.now)

    def question(self) -> Question:
        return Question(incident=self.open()[0].id, by="Ann", at=self.now)

    def acts(self) -> list[UserAction]:
        return [decode(value) for value in self.silences.values()]

    def states(self) -> list[tuple[str, str]]:
        """Of each point: the state, and the team or app that it is about."""
        found = []
        for point in self.points:
            labels = json.loads(point.texts["labels"])
            found.append((point.tags["state"], labels.get("app") or labels["team"]))
        return found
