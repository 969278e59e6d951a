"""What reaches Slack, and what does not, when everything goes wrong on the way: edits and threads included."""

from __future__ import annotations

import asyncio
import logging
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmvitals.cli.doctor import examine
from llmvitals.errors import SinkError
from llmvitals.notify.delivery import Delivery
from llmvitals.notify.slack.settings import SlackSettings
from llmvitals.notify.terminal import Terminal
from llmvitals.rate_limit import RateLimits
from llmvitals.record.notification import (
    CallsRequested,
    MessageState,
    MuteChanged,
    Muted,
    Notification,
    Place,
    Reply,
)
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack
from slack_samples import NOON, alert, threshold
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SECOND = 1_000_000
CHANNELS = ["#alerts", "#budget"]


class Time:
    """A clock that only waiting moves, and what was waited for."""

    def __init__(self) -> None:
        self.now = float(NOON // SECOND)
        self.waits: list[float] = []
        self.then: Callable[[], object] = list

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.then()
        await asyncio.sleep(0)

    def tempo(self, **changes: Any) -> RateLimits:
        fields: dict[str, Any] = {
            "timeout": deadline(10),
            "clock": lambda: int(self.now * SECOND),
            "monotonic": lambda: self.now,
            "sleep": self.sleep,
        }
        return RateLimits(**(fields | changes))


def patience(fault: dict[str, Any]) -> float:
    """Seconds that a request may take: few where it hangs, for those are waited for."""
    return deadline(0.2 if fault.get("hang") else 10)


class Tally:
    """Counts that a test can read."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, ...], int] = {}

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        key = (name, *labels.values())
        self.counted[key] = self.counted.get(key, 0) + value

    def observe(self, name: str, value: float, **labels: str) -> None: ...


class Post:
    """A delivery as its owner drives it: what can't be brought now is brought again, after a while."""

    def __init__(self, given: Settings, time: Time, tempo: RateLimits | None = None) -> None:
        tempo = tempo or time.tempo()
        self.time, self.tally, self.reasons = time, Tally(), list[str]()
        own = SlackSettings.of(given)
        assert own is not None
        self.backend = own.made(tempo)
        self.delivery = Delivery(self.backend, given.slack_channel or "", tempo, self.tally)

    async def bring(self, letter: Notification) -> Place | None:
        while True:
            try:
                return await self.delivery.deliver(letter)
            except SinkError as error:
                self.reasons.append(str(error) if error.retry else "given up")
                await self.time.sleep(error.retry_after or 0)

    @property
    def trouble(self) -> str:
        return "; ".join(self.delivery.troubles())


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(CHANNELS) as fake:
        yield fake


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def make(slack: FakeSlack, time: Time) -> AsyncIterator[Any]:
    made: list[Post] = []

    async def start(*, tempo: RateLimits | None = None, **changed: Any) -> Post:
        fields = {"slack_token": slack.token, "slack_channel": "#alerts", "slack_api_url": slack.url}
        post = Post(Settings(**(fields | changed)), time, tempo)
        made.append(post)
        await post.backend.open()
        return post

    yield start
    for post in made:
        await post.backend.close()


def letter(name: str = "e1", *, channel: str = "#alerts", **changes: Any) -> Notification:
    fields = {
        "place": changes.pop("place", None),
        "uncertain": changes.pop("sought", False),
    }
    texts = changes.pop("replies", [])
    state = MessageState.alone(alert(episode=name, **changes))
    # The one change that is drawn as nothing but a text.
    replies = [Reply(state, (MuteChanged((Muted(text),)),)) for text in texts]
    return Notification(state=state, channel=channel, replies=replies, **fields)


OVER: dict[str, Any] = {"status": "resolved", "until": NOON + SECOND}


# --- what a letter does --------------------------------------------------------------------------


async def test_an_incident_is_one_message_that_is_edited_and_has_a_thread(
    slack: FakeSlack, make: Any
) -> None:
    post = await make()
    place = await post.bring(letter())
    (message,) = slack.messages
    assert "🔴 search, prod has used 50 % of its monthly budget" in message.shown
    assert place == Place(message.channel, message.ts)
    assert await post.bring(letter(place=place, value=1_999.0, replies=["rose to 99%"])) == place
    assert await post.bring(letter(place=place, **OVER, replies=["resolved after 1 h"])) == place
    assert len(slack.messages) == 1
    assert len(message.edits) == 2
    assert "🟢 Resolved" in message.text
    assert message.thread == ["rose to 99%", "resolved after 1 h"]


async def test_what_is_posted_can_ping_nobody_and_unfurls_nothing(slack: FakeSlack, make: Any) -> None:
    post = await make()
    await post.bring(
        letter(labels={"user": "<!channel> <https://evil.example|click> @here"}, replies=["hello"])
    )
    for method, arguments in slack.requests:
        assert method == "chat.postMessage"
        assert not arguments["unfurl_links"]
        assert not arguments["unfurl_media"]
        assert not arguments["link_names"]
        assert arguments["parse"] == "none"
    assert "<!channel>" not in slack.messages[0].shown
    assert "<https:" not in slack.messages[0].blocks[2]["text"]["text"]


async def test_buttons_are_there_where_somebody_hears_them(slack: FakeSlack, make: Any) -> None:
    for token, there in ((slack.app_token, True), (None, False)):
        await (await make(slack_app_token=token)).bring(letter())
        assert ("llmvitals_ack" in slack.messages[-1].shown) is there


# --- faults --------------------------------------------------------------------------------------

STEPS = ["post", "edit", "reply"]
METHODS = {"post": "chat.postMessage", "edit": "chat.update", "reply": "chat.postMessage"}


async def life(slack: FakeSlack, post: Post, fails: Callable[[str], object]) -> None:
    """Two incidents, each posted, edited, replied to, with something that fails before each step."""
    channel = slack.channels["#alerts"]
    for name in ("e1", "e2"):
        fails("post")
        place = await post.bring(letter(name, channel=channel))
        fails("edit")
        fails("reply")
        await post.bring(letter(name, place=place, replies=[f"{name} rose"], value=1_999.0))
        await post.bring(letter(name, place=place, replies=[f"{name} over"], **OVER))


def check(slack: FakeSlack, post: Post) -> None:
    """Each incident is one message that shows its end, and heard its news once, in order."""
    assert [message.thread for message in slack.messages] == [["e1 rose", "e1 over"], ["e2 rose", "e2 over"]]
    assert ["Resolved" in message.text for message in slack.messages] == [True, True]
    assert post.trouble == ""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "retry_after": 7}, {"status": 500}, {"status": 503}, {"drop": True}, {"hang": True},
        {"error": "internal_error"}, {"error": "service_unavailable"}, {"error": "ratelimited"},
        {"status": 500, "accept": True}, {"drop": True, "accept": True}, {"hang": True, "accept": True},
        {"error": "internal_error", "accept": True},
    ],
)  # fmt: skip
async def test_any_answer_at_any_step_gives_one_message_and_each_reply_once(
    slack: FakeSlack, make: Any, time: Time, step: str, fault: dict[str, Any]
) -> None:
    """Row 29: also when Slack took it and its answer was lost, since the channel may be read."""
    tempo = time.tempo(timeout=patience(fault))
    post = await make(tempo=tempo, slack_channel=slack.channels["#alerts"])

    def fails(which: str) -> None:
        if which == step:
            slack.fail_next(method=METHODS[step], thread=step == "reply", **fault)

    await life(slack, post, fails)
    check(slack, post)
    assert len(post.reasons) == 2


@pytest.mark.parametrize("step", ["post", "reply"])
@pytest.mark.parametrize("fault", [{"hang": True}, {"drop": True}, {"status": 502}])
async def test_without_the_scope_a_lost_answer_costs_one_duplicate(
    time: Time, step: str, fault: dict[str, Any]
) -> None:
    """Slack is asked something harmless until it answers; only then is it said again."""
    async with FakeSlack(CHANNELS, scopes=["chat:write"]) as slack:
        channel = slack.channels["#alerts"]
        settings = Settings(slack_token=slack.token, slack_api_url=slack.url, slack_channel=channel)
        post = Post(settings, time, time.tempo(timeout=patience(fault)))
        await post.backend.open()
        place = await post.bring(letter(channel=channel)) if step == "reply" else None
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        slack.fail_next(status=503, times=20)
        place = await post.bring(letter(channel=channel, place=place, replies=["rose"] if place else []))
        await post.bring(letter(channel=channel, place=place, replies=["over"], **OVER))
        await post.backend.close()
    if step == "post":
        assert [message.ts == place.ts for message in slack.messages] == [False, True]
        assert slack.messages[1].thread == ["over"]
    else:
        assert [message.thread for message in slack.messages] == [["rose", "rose", "over"]]
    assert "Resolved" in slack.messages[-1].text


async def test_an_hour_without_slack_loses_nothing_and_keeps_the_order(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    post = await make()
    first = await post.bring(letter("e0"))
    time.then = lambda: time.now > NOON / SECOND + 3_600 and slack.heal()
    slack.fail_next(status=503, times=10_000)
    await post.bring(letter("e0", place=first, replies=["e0 rose"]))
    await life(slack, post, list)
    assert time.now > NOON / SECOND + 3_600
    assert [message.thread[0] for message in slack.messages] == ["e0 rose", "e1 rose", "e2 rose"]
    assert max(time.waits) == 30  # it is not hammered
    assert set(post.reasons) == {"Slack: http_503: Slack does not answer as it should"}


async def test_what_keeps_slack_away_costs_no_request_for_the_other_letters(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    post = await make()
    slack.fail_next(status=503)
    for name in ("e1", "e2", "e3"):
        with pytest.raises(SinkError, match="http_503"):
            await post.delivery.deliver(letter(name, channel="#budget"))
    assert len(slack.requests) == 1
    time.now += 1
    assert await post.delivery.deliver(letter("e2")) is not None


async def test_a_channels_limit_is_no_other_channels(slack: FakeSlack, make: Any, time: Time) -> None:
    post = await make()
    slack.fail_next(status=429, retry_after=7)
    with pytest.raises(SinkError) as limited:
        await post.delivery.deliver(letter())
    assert limited.value.retry_after == 7
    with pytest.raises(SinkError):
        await post.delivery.deliver(letter("e2"))
    assert await post.delivery.deliver(letter("e3", channel="#budget")) is not None
    assert len(slack.requests) == 2
    await time.sleep(7)
    assert await post.delivery.deliver(letter()) is not None


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_between_slacks_answer_and_our_mark_says_nothing_twice(
    slack: FakeSlack, make: Any, step: str
) -> None:
    """Row 30: the next owner looks for what may have been said, by its metadata."""
    channel = slack.channels["#alerts"]
    lost = await make(slack_channel=channel)
    place = await lost.bring(letter(channel=channel))
    if step != "post":
        await lost.bring(letter(channel=channel, place=place, replies=["rose"] if step == "reply" else []))
    again = await make(slack_channel=channel)
    known = None if step == "post" else place
    found = await again.bring(letter(channel=channel, place=known, replies=["rose", "more"], sought=True))
    assert found == place
    (message,) = slack.messages
    assert message.thread == ["rose", "more"]


async def test_a_channel_that_was_posted_to_by_its_name_can_be_read_too(slack: FakeSlack, make: Any) -> None:
    post = await make()
    await post.bring(letter("e1"))
    slack.fail_next(method="chat.postMessage", accept=True, drop=True)
    await post.bring(letter("e2"))
    assert len(slack.messages) == 2


async def test_a_message_that_no_crash_lost_is_posted_when_it_is_sought(slack: FakeSlack, make: Any) -> None:
    post = await make(slack_channel=slack.channels["#alerts"])
    await post.bring(letter("e1", channel=slack.channels["#alerts"]))
    await post.bring(letter("e2", channel=slack.channels["#alerts"], sought=True, replies=["hi"]))
    assert [message.thread for message in slack.messages] == [[], ["hi"]]


faults = st.sampled_from(
    [None, None, {"status": 500}, {"status": 429, "retry_after": 1}, {"error": "internal_error", "accept": True},
     {"status": 503, "accept": True}, {"drop": True}, {"drop": True, "accept": True}, {"error": "fatal_error"}]
)  # fmt: skip


@settings(max_examples=25)
@given(st.lists(faults, max_size=30))
async def test_whatever_happens_each_letter_is_delivered_once_and_in_order(script: list[Any]) -> None:
    async with FakeSlack(CHANNELS) as slack:
        channel = slack.channels["#alerts"]
        post = Post(Settings(slack_token=slack.token, slack_api_url=slack.url, slack_channel=channel), Time())
        await post.backend.open()
        for fault in script:
            slack.fail_next(**(fault or {"method": "none"}))
        await life(slack, post, list)
        await post.backend.close()
        check(slack, post)


# --- refusals ------------------------------------------------------------------------------------


async def test_blocks_that_slack_refuses_are_said_in_plain_text(slack: FakeSlack, make: Any) -> None:
    post = await make()
    slack.fail_next(method="chat.postMessage", error="invalid_blocks")
    await post.bring(letter(replies=["rose"]))
    (message,) = slack.messages
    assert message.blocks == []
    assert "monthly budget · $1,284.20 of $2,000 · 64 % · critical · TeamMonthlyBudget" in message.text
    assert message.thread == ["rose"]


async def test_a_slack_that_knows_no_charts_gets_bars(time: Time) -> None:
    """It refuses the first, and none is sent to it again."""
    for charts in (True, False):
        async with FakeSlack(CHANNELS, charts=charts) as slack:
            post = Post(
                Settings(slack_token=slack.token, slack_api_url=slack.url, slack_channel="#alerts"), time
            )
            await post.backend.open()
            place = None
            for value in (6_240.0, 7_000.0):
                state = MessageState.alone(threshold(episode="e1", value=value))
                place = await post.bring(Notification(state=state, channel="#alerts", place=place))
            await post.backend.close()
            (message,) = slack.messages
            assert ("data_visualization" in message.shown, "▁" in message.shown) == (charts, not charts)
            assert len(slack.requests) == (2 if charts else 3)
            assert post.trouble == ""


async def test_content_that_slack_refuses_twice_is_given_up_counted_and_said(
    slack: FakeSlack, make: Any
) -> None:
    post = await make()
    slack.fail_next(method="chat.postMessage", error="some_new_error", times=2)
    assert await post.bring(letter("e1")) is None
    assert post.tally.counted == {("slack_refusals", "some_new_error"): 2, ("notifications", "refused"): 1}
    assert post.trouble == "Slack, channel #alerts: some_new_error"
    await post.bring(letter("e2"))
    assert post.trouble == ""


async def test_a_reply_that_slack_refuses_is_left_out(slack: FakeSlack, make: Any) -> None:
    post = await make()
    place = await post.bring(letter())
    slack.fail_next(thread=True, error="restricted_action_thread_locked")
    assert await post.bring(letter(place=place, replies=["one", "two"])) == place
    assert slack.messages[0].thread == ["two"]


async def test_a_channel_that_is_gone_falls_back_to_the_default_one(slack: FakeSlack, make: Any) -> None:
    post = await make()
    await post.bring(letter(channel="#gone"))
    assert [message.channel_name for message in slack.messages] == ["#alerts"]
    assert "#gone: channel_not_found: name an existing channel" in post.trouble


async def test_a_letter_that_no_channel_takes_is_kept_said_and_holds_back_no_other_channel(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    post = await make(slack_channel="#gone")
    for name in ("e1", "e2", "e3"):
        with pytest.raises(SinkError, match="channel #gone: channel_not_found: name an existing") as kept:
            await post.delivery.deliver(letter(name, channel="#nowhere"))
        assert kept.value.retry_after == 60
    assert len(slack.requests) == 2
    assert await post.bring(letter("e4", channel="#budget")) is not None
    slack.channels["#gone"] = "C0000GONE1"
    await post.bring(letter("e1", channel="#nowhere"))
    assert [message.channel_name for message in slack.messages] == ["#budget", "#gone"]
    assert ("notifications", "refused") not in post.tally.counted


@pytest.mark.parametrize("method", ["chat.update", "chat.postMessage"])
async def test_a_message_in_an_archived_channel_is_posted_where_alerts_go_now(
    slack: FakeSlack, make: Any, method: str
) -> None:
    place = await (await make()).bring(letter())
    moved = await make(slack_channel="#budget")
    slack.fail_next(method=method, error="is_archived", thread=method == "chat.postMessage")
    slack.fail_next(method="chat.postMessage", error="is_archived")
    await moved.bring(letter(place=place, replies=["rose"]))
    assert [message.channel_name for message in slack.messages] == ["#alerts", "#budget"]
    assert moved.reasons == []


async def test_a_reply_to_a_message_that_was_deleted_meanwhile_is_taken_back(
    slack: FakeSlack, make: Any
) -> None:
    """Slack accepts it and puts it into the channel itself, where nobody knows what it is about."""
    post = await make()
    place = await post.bring(letter())
    one = letter(place=place, replies=["over"], **OVER)
    one.sent = True  # it was edited before somebody deleted it
    slack.delete(slack.messages[0])
    found = await post.bring(one)
    (message,) = slack.messages
    assert found == Place(message.channel, message.ts) != place
    assert "🟢" in message.text
    assert post.trouble == ""


async def test_mentions_come_once_and_only_when_a_message_is_new(slack: FakeSlack, make: Any) -> None:
    post = await make()
    first = letter()
    first.mention = ("<!here>", "U0123456789", "S0123456789")
    place = await post.bring(first)
    said = "<!here> <@U0123456789> <!subteam^S0123456789>"
    assert said in slack.messages[0].text
    assert any(
        said in block["text"]["text"] for block in slack.messages[0].blocks if block["type"] == "section"
    )
    again = letter(place=place, replies=["over"], **OVER)
    again.mention = first.mention
    slack.delete(slack.messages[0])
    await post.bring(again)
    assert "<!here>" not in slack.messages[0].shown
    assert "U0123456789" not in slack.messages[0].shown + "".join(slack.messages[0].thread)


async def test_without_a_thread_a_message_is_only_edited(slack: FakeSlack, make: Any) -> None:
    post = await make()
    place = await post.bring(letter())
    last = letter(place=place, replies=["rose"], **OVER)
    last.thread = False
    last.replies.append(Reply(last.state, (CallsRequested(),)))
    await post.bring(last)
    assert ["call-17" in text for text in slack.messages[0].thread] == [True]
    assert "🟢" in slack.messages[0].text


@pytest.mark.parametrize("step", ["edit", "reply"])
async def test_a_message_that_was_deleted_is_posted_anew(slack: FakeSlack, make: Any, step: str) -> None:
    post = await make()
    place = await post.bring(letter())
    if step == "edit":
        slack.messages.clear()
    else:
        slack.fail_next(thread=True, error="thread_not_found")
    found = await post.bring(letter(place=place, replies=["over"], **OVER))
    message = slack.messages[-1]
    assert found == Place(message.channel, message.ts) != place
    assert "Resolved" in message.text


async def test_a_wrong_token_keeps_the_letter_and_says_what_to_fix(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    post = await make()
    slack.fail_next(error="invalid_auth", times=2)
    await post.bring(letter())
    assert all("invalid_auth: set LLMVITALS_SLACK_TOKEN" in reason for reason in post.reasons)
    assert time.waits == [60, 60]
    assert len(slack.messages) == 1
    assert post.trouble == ""


async def test_a_slack_that_is_down_at_the_start_is_said(slack: FakeSlack, make: Any) -> None:
    post = await make()
    slack.fail_next(method="auth.test", status=503)
    with pytest.raises(SinkError, match="http_503"):
        await post.delivery.check()
    assert "http_503" in post.trouble
    await post.delivery.check()
    assert post.trouble == ""


# --- pace ----------------------------------------------------------------------------------------


async def test_the_first_messages_do_not_wait_and_a_storm_keeps_slacks_pace(
    slack: FakeSlack, make: Any, time: Time
) -> None:
    post = await make()
    for number in range(4):
        await post.bring(letter(f"e{number}"))
    assert time.waits == []
    begun = time.now
    for number in range(30):
        await post.bring(letter(f"s{number}", replies=["more"]))
    assert 58 <= time.now - begun <= 62
    assert max(time.waits) <= 1


async def test_edits_keep_their_own_pace(slack: FakeSlack, make: Any, time: Time) -> None:
    """Some 50 a minute over all channels."""
    post = await make()
    place = await post.bring(letter())
    begun = time.now
    for number in range(60):
        await post.bring(letter(place=place, value=float(number)))
    assert 55 <= time.now - begun <= 72


async def test_slacks_own_limits_are_never_hit(time: Time) -> None:
    """With the real clock: as many messages as come at once, then one a second."""
    async with FakeSlack(CHANNELS, limited=True) as slack:
        post = Post(
            Settings(slack_token=slack.token, slack_api_url=slack.url, slack_channel="#alerts"),
            time,
            RateLimits(),
        )
        await post.backend.open()
        for number in range(5):
            await post.bring(letter(f"e{number}"))
        await post.backend.close()
    assert len(slack.messages) == 5
    assert post.reasons == []


# --- webhook and terminal ------------------------------------------------------------------------


async def test_a_webhook_posts_again_at_each_news_and_uses_no_other_method(
    slack: FakeSlack, make: Any
) -> None:
    post = await make(slack_token=None, slack_webhook=slack.webhook_url)
    place = await post.bring(letter(channel=""))
    await post.bring(letter(channel="", place=place, value=1_300.0))
    await post.bring(letter(channel="", place=place, value=1_999.0, replies=["rose", "acknowledged"]))
    await post.bring(letter(channel="", place=place, replies=["over"], **OVER))
    assert place == Place()
    assert [message.text[:2].strip() for message in slack.messages] == ["🔴", "🔴", "🟢"]
    assert "$1,999 of" in slack.messages[1].text
    assert {method for method, _ in slack.requests} == {"webhook"}
    assert "actions" not in slack.messages[0].shown


async def test_a_webhook_says_at_the_start_what_it_cannot_do(slack: FakeSlack, make: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        await make(slack_token=None, slack_webhook=slack.webhook_url)
    assert "can't edit, reply or have buttons" in logs[0]["event"]
    assert "LLMVITALS_SLACK_TOKEN" in logs[0]["event"]


async def test_a_webhook_that_answers_anything_but_ok_has_not_taken_it(slack: FakeSlack, make: Any) -> None:
    post = await make(slack_token=None, slack_webhook=slack.webhook_url)
    slack.fail_next(method="webhook", error="invalid_blocks")
    await post.bring(letter("e1", channel=""))
    slack.fail_next(method="webhook", status=502)
    await post.bring(letter("e2", channel=""))
    assert [(m.blocks == [], "🔴" in m.text) for m in slack.messages] == [(True, True), (False, True)]


async def test_a_webhook_that_was_removed_keeps_the_letter(slack: FakeSlack, make: Any, time: Time) -> None:
    post = await make(slack_token=None, slack_webhook=slack.webhook_url)
    slack.fail_next(method="webhook", status=404, error="no_service", times=2)
    await post.bring(letter(channel=""))
    assert time.waits == [60, 60]
    assert len(slack.messages) == 1


async def test_without_slack_every_news_is_printed(time: Time) -> None:
    shown = StringIO()
    delivery = Delivery(Terminal(Console(file=shown, width=100)), "", time.tempo(), Tally())
    for one in (
        letter(),
        letter(place=Place(), value=1_999.0),
        letter(place=Place(), replies=["over"], **OVER),
    ):
        assert await delivery.deliver(one) == Place()
    assert shown.getvalue().count("TeamMonthlyBudget") == 2
    assert "$1,999 of" not in shown.getvalue()


async def test_the_doctor_says_where_alerts_go(slack: FakeSlack, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"brokers": "127.0.0.1:9", "alerts": tmp_path, "slack_channel": "#alerts"}
    ways = {
        "#alerts": Settings(**nothing, slack_token=slack.token, slack_api_url=slack.url),
        "the webhook": Settings(**nothing, slack_webhook=slack.webhook_url),
    }
    for place, given_settings in ways.items():
        finding = next(finding for finding in await examine(given_settings) if finding.what == "slack")
        assert (finding.state, finding.found) == ("fine", f"accepted; alerts go to {place}")


async def test_the_doctor_says_whether_buttons_are_heard(slack: FakeSlack, tmp_path: Path) -> None:
    fields = {"slack_token": slack.token, "slack_api_url": slack.url, "slack_channel": "#alerts"}
    states = {}
    for token in (slack.app_token, f"{slack.app_token}2"):
        looked = Settings(brokers="127.0.0.1:9", alerts=tmp_path, slack_app_token=token, **fields)
        finding = next(finding for finding in await examine(looked) if finding.what == "slack")
        states[finding.state] = finding.cure
    assert states["fine"] == ""
    assert "set LLMVITALS_SLACK_APP_TOKEN" in states["warning"]


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["token", "webhook"])
async def test_no_secret_is_in_any_log_health_or_error(
    slack: FakeSlack, make: Any, time: Time, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = {"slack_token": None, "slack_webhook": slack.webhook_url} if way == "webhook" else {}
    faults = [
        {"error": "invalid_auth"}, {"status": 500}, {"status": 429, "retry_after": 1}, {"drop": True},
        {"hang": True}, {"error": "invalid_blocks"}, {"status": 403, "error": "invalid_token"},
    ]  # fmt: skip
    said = []
    with structlog.testing.capture_logs() as logs:
        post = await make(tempo=time.tempo(timeout=patience({"hang": True})), **webhook)
        for number, fault in enumerate(faults):
            slack.fail_next(method=None, **fault)
            one = letter(f"e{number}", summary="planted-summary", replies=["planted-reply"])
            await post.bring(one)
            said.append(post.trouble)
        said += post.reasons
    text = f"{logs} {said} {caplog.text}"
    assert slack.token not in text
    assert "fake-webhook-secret" not in text
    assert "planted" not in text
    assert any(logs)
