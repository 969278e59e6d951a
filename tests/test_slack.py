"""What reaches Slack, and what does not, when everything goes wrong on the way."""

from __future__ import annotations

import asyncio
import logging
from io import StringIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog
from rich.console import Console

from llmvitals.doctor import examine
from llmvitals.errors import SinkError
from llmvitals.notify.delivery import Tempo
from llmvitals.notify.slack import SHELF, Notifier
from llmvitals.notify.terminal import Terminal
from llmvitals.record.alert import Alert
from llmvitals.record.incident import Incident
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from llmvitals.notify.answer import Answer
    from llmvitals.notify.message import Notice

SECOND = 1_000_000
NOW = 1_735_732_800 * SECOND
CHANNELS = ["#alerts", "#budget"]


class Time:
    """A clock that only waiting moves, and what was waited for."""

    def __init__(self) -> None:
        self.now = float(NOW // SECOND)
        self.waits: list[float] = []
        self.then: Callable[[], object] = list

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.then()
        await asyncio.sleep(0)

    def tempo(self, **changes: Any) -> Tempo:
        fields: dict[str, Any] = {
            "timeout": 0.25,
            "clock": lambda: int(self.now * SECOND),
            "monotonic": lambda: self.now,
            "sleep": self.sleep,
        }
        return Tempo(**(fields | changes))


class Tally:
    """Counts that a test can read."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, ...], int] = {}
        self.observed: list[float] = []

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        key = (name, *labels.values())
        self.counted[key] = self.counted.get(key, 0) + value

    def observe(self, name: str, value: float, **labels: str) -> None:
        assert name == "breach_to_slack_seconds"
        self.observed.append(value)


def alert(episode: str = "e1", status: str = "firing", **changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "rule": "TeamBudget", "kind": "budget", "status": status, "severity": "critical",
        "fingerprint": "f", "episode": episode, "group": "g", "labels": {"team": "search"},
        "metric": "cost", "unit": "usd", "value": 64.0, "limit": 100.0, "since": NOW, "at": NOW,
    }  # fmt: skip
    return Alert(**(fields | changes))


def records(*alerts: Alert, at: int = NOW) -> list[Logged]:
    return [Logged(offset, at // 1_000, a.encode(), a.group.encode()) for offset, a in enumerate(alerts)]


def history(messages: Sequence[Message]) -> list[Logged]:
    """The compacted topic, as a new owner reads it."""
    newest = {message.key: message.value for message in messages}
    return [Logged(n, NOW // 1_000, value, key) for n, (key, value) in enumerate(newest.items())]


class Driven:
    """A notifier as pour.py drives it: what asks for a retry is called again, after a while."""

    def __init__(self, notifier: Notifier, time: Time) -> None:
        self.notifier, self.time = notifier, time
        self.reasons: list[str] = []
        self.health, self.stop = notifier.health, notifier.stop

    async def start(self, past: Sequence[Logged]) -> None:
        await self.insist(lambda: self.notifier.start(past))

    async def take(self, partition: int, batch: Sequence[Logged]) -> list[Message]:
        return await self.insist(lambda: self.notifier.take(partition, batch))

    async def insist(self, call: Any) -> Any:
        wait = 0.5
        while True:
            try:
                return await call()
            except SinkError as error:
                self.reasons.append(str(error) if error.retry else "given up")
                await self.time.sleep(error.retry_after or wait)
                wait = min(wait * 2, 30)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(CHANNELS) as fake:
        yield fake


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
async def make(slack: FakeSlack, time: Time, tally: Tally) -> AsyncIterator[Any]:
    made: list[Driven] = []

    async def start(past: Sequence[Logged] = (), *, tempo: Tempo | None = None, **settings: Any) -> Driven:
        fields: dict[str, Any] = {
            "slack_token": slack.token,
            "slack_channel": "#alerts",
            "slack_api_url": slack.url,
        }
        notifier = Driven(
            Notifier(Settings(**(fields | settings)), counts=tally, tempo=tempo or time.tempo()), time
        )
        made.append(notifier)
        await notifier.start(past)
        return notifier

    yield start
    for notifier in made:
        await notifier.stop()


# --- the life of an incident ---------------------------------------------------------------------


async def test_an_incident_is_one_message_edited_at_each_news_and_green_in_the_end(
    slack: FakeSlack, make: Any
) -> None:
    notifier = await make()
    (mark,) = await notifier.take(0, records(alert(level="50%")))
    (message,) = slack.messages
    assert "🔴 Critical: TeamBudget" in message.shown
    assert "$64 of $100 · 64 %" in message.shown
    incident = Incident.decode(mark.value)
    assert (mark.topic, mark.key) == (Topic.INCIDENTS, b"e1")
    assert (incident.id, incident.status, incident.at, incident.level) == ("e1", "firing", NOW, "50%")
    assert (incident.channel, incident.ts) == (message.channel, message.ts)

    await notifier.take(0, records(alert(level="95%", value=96.0, at=NOW + SECOND)))
    assert "$96 of $100" in message.shown
    (mark,) = await notifier.take(
        0, records(alert(status="resolved", at=NOW + 4320 * SECOND, until=NOW + 4320 * SECOND))
    )
    assert "🟢 Resolved: TeamBudget" in message.shown
    assert "1 h 12 min" in message.shown
    assert len(slack.messages) == 1
    assert len(message.edits) == 2
    assert Incident.decode(mark.value).status == "resolved"


async def test_what_is_posted_can_ping_nobody_and_unfurls_nothing(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    hostile = {"user": "<!channel> <https://evil.example|click> @here"}
    await notifier.take(0, records(alert(labels=hostile, summary="<!here> pay")))
    _, arguments = next(r for r in slack.requests if r[0] == "chat.postMessage")
    assert "<!channel>" not in slack.messages[0].shown
    assert "<!here>" not in slack.messages[0].shown
    assert "<https:" not in slack.messages[0].shown
    assert not arguments["unfurl_links"]
    assert not arguments["unfurl_media"]
    assert not arguments["link_names"]
    assert arguments["parse"] == "none"


async def test_records_that_come_again_change_nothing(slack: FakeSlack, make: Any) -> None:
    life = records(alert(level="50%"), alert(level="80%", at=NOW + 1), alert(status="resolved", at=NOW + 2))
    notifier = await make()
    marks = [mark for record in life for mark in await notifier.take(0, [record])]
    seen = [(m.shown, len(m.edits)) for m in slack.messages]
    assert await notifier.take(0, life) == marks[-1:]
    restarted = await make(history(marks))
    assert await restarted.take(0, life[:2]) == []
    assert await restarted.take(0, life) == marks[-1:]
    assert [(m.shown, len(m.edits)) for m in slack.messages] == seen


async def test_of_changes_at_one_time_the_higher_level_and_the_end_are_news(
    slack: FakeSlack, make: Any
) -> None:
    notifier = await make()
    await notifier.take(0, records(alert(level="80%")))
    assert await notifier.take(0, records(alert(level="50%"))) == []
    assert len(await notifier.take(0, records(alert(level="100%")))) == 1
    assert len(await notifier.take(0, records(alert(status="resolved")))) == 1
    assert await notifier.take(0, records(alert(level="100%"))) == []
    assert "Resolved" in slack.messages[0].text


async def test_a_batch_says_the_newest_of_each_incident_in_order(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    marks = await notifier.take(
        0,
        records(
            alert("e1"), alert("e2"), alert("e1", value=97.0, at=NOW + 1), alert("e2", "resolved", at=NOW + 2)
        ),
    )
    assert [m.edits for m in slack.messages] == [[], []]
    assert "$97 of" in slack.messages[0].shown
    assert "Resolved" in slack.messages[1].text
    assert [mark.key for mark in marks] == [b"e1", b"e2"]


async def test_a_rule_can_name_its_own_channel(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    await notifier.take(0, records(alert("e1", notify={"slack": "#budget"}), alert("e2")))
    assert [m.channel_name for m in slack.messages] == ["#budget", "#alerts"]


async def test_what_is_no_alert_is_counted_and_passed_over(slack: FakeSlack, make: Any, tally: Tally) -> None:
    notifier = await make()
    junk = [Logged(0, NOW // 1_000, b"\xff{"), Logged(1, NOW // 1_000, None), *records(alert())]
    assert len(await notifier.take(0, junk)) == 1
    assert tally.counted["notifications", "unreadable"] == 2
    assert len(slack.messages) == 1


# --- age -----------------------------------------------------------------------------------------


async def test_an_alert_that_was_old_when_it_was_written_pages_nobody(
    slack: FakeSlack, make: Any, tally: Tally
) -> None:
    """So a replay of last week's calls is silent."""
    notifier = await make()
    assert await notifier.take(0, records(alert(at=NOW - 16 * 60 * SECOND))) == []
    assert await notifier.take(0, records(alert(status="resolved", at=NOW))) == []
    assert slack.messages == []
    assert tally.counted["notifications", "too_old"] == 1
    assert tally.counted["notifications", "unheard"] == 1


async def test_an_alert_that_lay_for_an_hour_is_still_delivered_but_not_after_a_day(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    """Slack or this worker was down: nothing is lost for it."""
    notifier = await make()
    time.now += 3_600
    assert len(await notifier.take(0, records(alert("e1")))) == 1
    time.now += SHELF / SECOND
    assert await notifier.take(0, records(alert("e2"))) == []
    assert len(slack.messages) == 1


async def test_an_old_end_still_turns_its_message_green(slack: FakeSlack, make: Any, time: Time) -> None:
    notifier = await make()
    await notifier.take(0, records(alert()))
    time.now += 3 * SHELF / SECOND
    assert len(await notifier.take(0, records(alert(status="resolved", at=NOW + 1)))) == 1
    assert "Resolved" in slack.messages[0].text


async def test_incidents_long_over_are_forgotten(make: Any, time: Time) -> None:
    notifier = await make()
    marks = await notifier.take(0, records(alert("e1"), alert("e2"), alert("e1", "resolved", at=NOW + 1)))
    time.now += SHELF / SECOND + 901
    later = await notifier.take(0, [])
    assert later == [Message(Topic.INCIDENTS, b"e1", None)]
    assert await notifier.take(0, []) == []
    # A tombstone is no incident, and nothing to stumble over.
    assert await (await make(history([*marks, *later]))).take(0, []) == []


# --- faults --------------------------------------------------------------------------------------


async def test_slacks_retry_after_is_kept_to(slack: FakeSlack, make: Any, time: Time) -> None:
    notifier = await make()
    slack.fail_next(status=429, retry_after=7)
    await notifier.take(0, records(alert("e1"), alert("e2")))
    assert max(time.waits) == 7
    assert ["e1" in m.shown for m in slack.messages] == [True, False]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"drop": True},
        {"error": "internal_error"},
        {"error": "service_unavailable"},
    ],
)
async def test_an_outage_is_waited_out_and_said_meanwhile(
    slack: FakeSlack, make: Any, time: Time, fault: dict[str, Any]
) -> None:
    notifier = await make()
    assert notifier.health() is None
    slack.fail_next(**fault, times=12)
    said = []
    time.then = lambda: said.append(notifier.health())
    await notifier.take(0, records(alert()))
    assert len(slack.messages) == 1
    assert said == notifier.reasons
    assert len(set(said)) == 1
    assert said[0].startswith("Slack: ")
    assert notifier.health() is None
    assert sum(time.waits) > 150  # twelve tries do not hammer


async def test_an_hour_without_slack_loses_no_incident_and_keeps_their_order(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    notifier = await make()
    time.then = lambda: time.now > NOW / SECOND + 3_600 and slack.heal()
    slack.fail_next(status=503, times=10_000)
    await notifier.take(0, records(alert("e1")))
    await notifier.take(1, records(alert("e2"), alert("e3")))
    assert time.now > NOW / SECOND + 3_600
    assert [episode for m in slack.messages for episode in ("e1", "e2", "e3") if episode in m.shown] == [
        "e1", "e2", "e3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fault", [{"hang": True}, {"drop": True}, {"status": 500}, {"error": "internal_error"}]
)
async def test_a_post_without_an_answer_is_found_again(
    slack: FakeSlack, make: Any, fault: dict[str, Any]
) -> None:
    """With the scope and the channel's id there is no duplicate, however often it happens."""
    notifier = await make(slack_channel=slack.channels["#alerts"])
    for episode in ("e1", "e2"):
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        (mark,) = await notifier.take(0, records(alert(episode)))
        assert Incident.decode(mark.value).ts == slack.messages[-1].ts
    assert len(slack.messages) == 2


@pytest.mark.parametrize("fault", [{"hang": True}, {"drop": True}, {"status": 502}])
async def test_without_the_scope_a_lost_answer_costs_one_duplicate(
    time: Time, tally: Tally, fault: dict[str, Any]
) -> None:
    """Slack is asked something harmless until it answers; only then is the message posted again."""
    async with FakeSlack(CHANNELS, scopes=["chat:write"]) as slack:
        settings = Settings(
            slack_token=slack.token, slack_api_url=slack.url, slack_channel=slack.channels["#alerts"]
        )
        notifier = Driven(Notifier(settings, counts=tally, tempo=time.tempo()), time)
        await notifier.start([])
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        slack.fail_next(status=503, times=20)
        (mark,) = await notifier.take(0, records(alert()))
        await notifier.take(0, records(alert(status="resolved", at=NOW + 1)))
        await notifier.stop()
    assert len(slack.messages) == 2
    assert Incident.decode(mark.value).ts == slack.messages[1].ts
    assert "Resolved" in slack.messages[1].text


async def test_an_edit_without_an_answer_is_made_again(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    await notifier.take(0, records(alert()))
    slack.fail_next(method="chat.update", accept=True, drop=True)
    await notifier.take(0, records(alert(status="resolved", at=NOW + 1)))
    assert len(slack.messages) == 1
    assert "Resolved" in slack.messages[0].text


async def test_a_crash_between_slacks_answer_and_our_mark_posts_nothing_twice(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    channel = slack.channels["#alerts"]
    lost = await make(slack_channel=channel)
    batch = records(alert("e1"), alert("e2"))
    await lost.take(0, batch[:1])  # its mark never reaches Kafka
    time.now += 5
    again = await make(slack_channel=channel)
    marks = await again.take(0, batch)
    assert [Incident.decode(mark.value).ts for mark in marks] == [m.ts for m in slack.messages]
    assert len(slack.messages) == 2
    await again.take(0, records(alert("e1", "resolved", at=NOW + 1)))
    assert ["Resolved" in m.text for m in slack.messages] == [True, False]


class Stuck(Terminal):
    """A way to people on which e2 hangs the first time."""

    def __init__(self) -> None:
        super().__init__(Console(file=StringIO()))
        self.posts: list[str] = []
        self.hanging = asyncio.Event()

    async def post(self, channel: str, incident: str, said: Notice, *, plain: bool) -> Answer:
        self.posts.append(incident)
        if self.posts.count("e2") == 1 and incident == "e2":
            self.hanging.set()
            await asyncio.Event().wait()
        return await super().post(channel, incident, said, plain=plain)


async def test_a_cancelled_batch_gives_its_marks_the_next_time(time: Time) -> None:
    """A rebalance may cancel; what people have seen has to get into the topic all the same."""
    stuck = Stuck()
    notifier = Notifier(Settings(), backend=stuck, tempo=time.tempo())
    await notifier.start([])
    batch = records(alert("e1"), alert("e2"))
    task = asyncio.create_task(notifier.take(0, batch))
    await stuck.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    marks = await notifier.take(0, batch)
    assert [mark.key for mark in marks] == [b"e1", b"e2"]
    assert stuck.posts == ["e1", "e2", "e2"]


# --- refusals ------------------------------------------------------------------------------------


async def test_blocks_that_slack_refuses_are_said_in_plain_text(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    slack.fail_next(method="chat.postMessage", error="invalid_blocks")
    await notifier.take(0, records(alert()))
    (message,) = slack.messages
    assert message.blocks == []
    assert "TeamBudget · $64 of $100 · 64 %" in message.text


async def test_content_that_slack_refuses_twice_is_given_up_and_counted(
    slack: FakeSlack, make: Any, tally: Tally
) -> None:
    notifier = await make()
    slack.fail_next(method="chat.postMessage", error="some_new_error", times=2)
    (mark,) = await notifier.take(0, records(alert("e1"), alert("e2")))
    assert mark.key == b"e2"
    assert tally.counted["notifications", "refused"] == 1
    assert tally.counted["slack_refusals", "some_new_error"] == 2


async def test_a_channel_that_is_gone_falls_back_to_the_default_one(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    await notifier.take(0, records(alert(notify={"slack": "#gone"})))
    assert [m.channel_name for m in slack.messages] == ["#alerts"]
    assert "#gone: channel_not_found: name an existing channel" in notifier.health()


async def test_an_alert_that_no_channel_takes_is_kept_said_and_holds_back_no_other_channel(
    slack: FakeSlack, make: Any, time: Time, tally: Tally
) -> None:
    notifier = await make(slack_channel="#gone")
    seen: list[tuple[list[str], str]] = []

    def mend() -> None:
        seen.append(([m.channel_name for m in slack.messages], notifier.health()))
        if len(seen) == 2:
            slack.channels["#gone"] = "C0000GONE1"

    time.then = mend
    lost = [alert(f"e{number}", notify={"slack": "#nowhere"}) for number in range(20)]
    marks = await notifier.take(0, records(*lost, alert("e20"), alert("e21", notify={"slack": "#budget"})))
    assert [channels for channels, _ in seen[:2]] == [["#budget"], ["#budget"]]
    assert all("channel #gone: channel_not_found: name an existing" in health for _, health in seen[:2])
    assert time.waits[:2] == [60, 60]
    assert {m.key for m in marks} == {f"e{number}".encode() for number in range(22)}
    assert [m.channel_name for m in slack.messages].count("#budget") == 1
    assert len(slack.messages) == 22
    assert ("notifications", "refused") not in tally.counted


async def test_a_message_in_a_channel_that_was_archived_is_posted_where_alerts_go_now(
    slack: FakeSlack, make: Any
) -> None:
    first = await make()
    marks = await first.take(0, records(alert()))
    moved = await make(history(marks), slack_channel="#budget")
    slack.fail_next(method="chat.update", error="is_archived")
    await moved.take(0, records(alert(value=96.0, at=NOW + 1)))
    assert [m.channel_name for m in slack.messages] == ["#alerts", "#budget"]
    assert moved.reasons == []


async def test_a_refusal_for_good_is_said_until_a_message_is_taken(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    slack.fail_next(method="chat.postMessage", error="some_new_error", times=2)
    await notifier.take(0, records(alert("e1")))
    assert notifier.health() == "Slack, channel #alerts: some_new_error"
    await notifier.take(0, records(alert("e2")))
    assert notifier.health() is None


async def test_a_message_that_was_deleted_is_posted_anew(slack: FakeSlack, make: Any) -> None:
    notifier = await make()
    await notifier.take(0, records(alert()))
    slack.messages.clear()
    (mark,) = await notifier.take(0, records(alert(status="resolved", at=NOW + 1)))
    assert Incident.decode(mark.value).ts == slack.messages[0].ts
    assert "Resolved" in slack.messages[0].text


async def test_a_wrong_token_keeps_the_alert_and_says_what_to_fix(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    slack.fail_next(error="invalid_auth")
    notifier = await make()
    slack.fail_next(error="invalid_auth", times=2)
    await notifier.take(0, records(alert()))
    assert all("invalid_auth: set LLMVITALS_SLACK_TOKEN" in reason for reason in notifier.reasons)
    assert time.waits == [60, 60, 60]
    assert len(slack.messages) == 1
    assert notifier.health() is None


async def test_a_slack_that_is_down_at_the_start_is_said_and_waited_for(slack: FakeSlack, make: Any) -> None:
    slack.fail_next(method="auth.test", status=503, times=2)
    notifier = await make()
    assert notifier.reasons == ["Slack: http_503: Slack does not answer as it should"] * 2
    assert notifier.health() is None


# --- pace ----------------------------------------------------------------------------------------


async def test_the_first_messages_do_not_wait_and_a_storm_keeps_slacks_pace(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    notifier = await make()
    await notifier.take(0, records(alert("e1"), alert("e2")))
    assert time.waits == []
    begun = time.now
    await notifier.take(0, records(*(alert(f"s{number}") for number in range(30))))
    assert len(slack.messages) == 32
    assert 26 <= time.now - begun <= 35
    assert max(time.waits) <= 1
    assert "storm" in notifier.reasons[0]  # so that the watchdog sees it wait, and others get their turn


async def test_a_breach_is_in_slack_within_a_second(slack: FakeSlack, make: Any, tally: Tally) -> None:
    """With the real clock and real waiting."""
    notifier = await make(tempo=Tempo())
    now = Tempo().clock()
    begun = asyncio.get_running_loop().time()
    await notifier.take(0, records(alert(since=now, at=now), at=now))
    assert asyncio.get_running_loop().time() - begun < 1
    assert len(slack.messages) == 1
    assert 0 <= tally.observed[0] < 1


# --- webhook and terminal ------------------------------------------------------------------------


async def test_a_webhook_posts_again_when_level_or_status_change_and_uses_no_other_method(
    slack: FakeSlack, make: Any
) -> None:
    notifier = await make(slack_token=None, slack_webhook=slack.webhook_url)
    marks = []
    for number, change in enumerate([alert(level="50%"), alert(level="80%"), alert(status="resolved")]):
        marks += await notifier.take(0, records(msgspec.structs.replace(change, at=NOW + number)))
    assert [m.text.split(":")[0] for m in slack.messages] == ["🔴 Critical"] * 2 + ["🟢 Resolved"]
    assert [Incident.decode(m.value).ts for m in marks] == ["", "", ""]
    assert [r for r in slack.requests if r[0] != "webhook"] == []


async def test_a_webhook_posts_again_when_a_higher_threshold_is_passed(slack: FakeSlack, make: Any) -> None:
    notifier = await make(slack_token=None, slack_webhook=slack.webhook_url)
    changes = [
        alert(level="50%", value=50.0), alert(level="80%", value=80.0), alert(level="80%", value=81.0),
        alert(level="50%", value=79.0), alert(level="100%", value=100.0),
        alert(status="resolved", level="100%"), alert(status="resolved", level="120%"),
    ]  # fmt: skip
    for number, change in enumerate(changes):
        await notifier.take(0, records(msgspec.structs.replace(change, at=NOW + number)))
    assert [m.text.split(" · ")[1] for m in slack.messages[:3]] == [
        "$50 of $100", "$80 of $100", "$100 of $100",
    ]  # fmt: skip
    assert ["Resolved" in m.text for m in slack.messages] == [False, False, False, True]


async def test_a_webhook_that_answers_anything_but_ok_has_not_taken_it(slack: FakeSlack, make: Any) -> None:
    notifier = await make(slack_token=None, slack_webhook=slack.webhook_url)
    slack.fail_next(method="webhook", error="invalid_blocks")
    await notifier.take(0, records(alert("e1")))
    slack.fail_next(method="webhook", status=502)
    await notifier.take(0, records(alert("e2")))
    assert [(m.blocks == [], "🔴" in m.text) for m in slack.messages] == [(True, True), (False, True)]


async def test_a_webhook_that_was_removed_keeps_the_alert(slack: FakeSlack, make: Any, time: Time) -> None:
    notifier = await make(slack_token=None, slack_webhook=slack.webhook_url)
    slack.fail_next(method="webhook", status=404, error="no_service", times=2)
    await notifier.take(0, records(alert()))
    assert time.waits == [60, 60]
    assert len(slack.messages) == 1


async def test_without_slack_every_news_is_printed(time: Time) -> None:
    shown = StringIO()
    notifier = Notifier(Settings(), backend=Terminal(Console(file=shown, width=100)), tempo=time.tempo())
    await notifier.start(None)
    await notifier.take(0, records(alert()))
    await notifier.take(0, records(alert(value=97.0, at=NOW + 1)))
    await notifier.take(0, records(alert(status="resolved", at=NOW + 2)))
    await notifier.stop()
    assert shown.getvalue().count("TeamBudget") == 3
    assert "$97 of $100" in shown.getvalue()
    assert notifier.health() is None


async def test_the_doctor_says_where_alerts_go(slack: FakeSlack, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"brokers": "127.0.0.1:9", "alerts": tmp_path, "slack_channel": "#alerts"}
    ways = {
        "#alerts": Settings(**nothing, slack_token=slack.token, slack_api_url=slack.url),
        "the webhook": Settings(**nothing, slack_webhook=slack.webhook_url),
    }
    for place, settings in ways.items():
        finding = next(finding for finding in await examine(settings) if finding.what == "slack")
        assert (finding.state, finding.found) == ("fine", f"accepted; alerts go to {place}")


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["token", "webhook"])
async def test_no_secret_is_in_any_log_health_or_error(
    slack: FakeSlack, make: Any, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = {"slack_token": None, "slack_webhook": slack.webhook_url} if way == "webhook" else {}
    faults = [
        {"error": "invalid_auth"}, {"status": 500}, {"status": 429, "retry_after": 1}, {"drop": True},
        {"hang": True}, {"error": "invalid_blocks"}, {"status": 403, "error": "invalid_token"},
    ]  # fmt: skip
    said = []
    with structlog.testing.capture_logs() as logs:
        notifier = await make(**webhook)
        for number, fault in enumerate(faults):
            slack.fail_next(method=None, **fault)
            await notifier.take(0, records(alert(f"e{number}", summary="planted-summary")))
            said.append(notifier.health())
        said += notifier.reasons
    text = f"{logs} {said} {caplog.text}"
    assert slack.token not in text
    assert "fake-webhook-secret" not in text
    assert "planted-summary" not in text
    assert any(logs)
