"""What people press in Slack becomes an act, whatever Slack, the network or a stranger does."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from desks import World
from desks import alert as incident
from llmvitals.errors import ConfigError
from llmvitals.notify.slack.actions import (
    ACK,
    CALLS,
    SILENCE,
    VALUE,
    actions,
    button_value,
    parsed_value,
    user_actions,
)
from llmvitals.notify.slack.bot import Bot
from llmvitals.notify.slack.buttons import Buttons
from llmvitals.notify.slack.settings import SlackSettings
from llmvitals.rate_limit import RateLimits
from llmvitals.record.matcher import Matcher
from llmvitals.record.notification import MessageState, Muted
from llmvitals.record.user_action import Acknowledgement, Question, Silence, decode, encode
from llmvitals.settings import Settings, load
from llmvitals.testing import FakeSlack
from llmvitals.testing.sockets import pressed
from slack_samples import NOON, alert
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmvitals.testing import Posted

MINUTE = 60_000_000
HOUR = 60 * MINUTE


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as fake:
        yield fake


class Hearing:
    """Buttons that listen, a message with buttons, and what was heard."""

    def __init__(self, slack: FakeSlack, token: str) -> None:
        self.waits: list[float] = []
        self.slept = asyncio.Event()
        self.buttons = Buttons(
            token, slack.url, RateLimits(timeout=deadline(2), clock=lambda: NOON, sleep=self._sleep)
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.slept.set()
        await asyncio.sleep(0.01)

    async def troubled(self) -> str:
        await self.slept.wait()
        return self.buttons.health() or ""


@pytest.fixture
async def hearing(slack: FakeSlack) -> AsyncIterator[Hearing]:
    ears = Hearing(slack, slack.app_token)
    await ears.buttons.start()
    await slack.listened()
    yield ears
    await ears.buttons.stop()


async def posted(slack: FakeSlack, card: MessageState | None = None) -> Posted:
    bot = Bot(slack.token, slack.url, timeout=deadline(5), buttons=Buttons(slack.app_token, slack.url))
    await bot.open()
    answer = await bot.post("#alerts", card or MessageState.alone(alert()), plain=False)
    await bot.close()
    assert answer.code == "ok"
    return slack.messages[-1]


# --- what a press means --------------------------------------------------------------------------


async def test_acknowledge_becomes_an_act_with_the_persons_name(slack: FakeSlack, hearing: Hearing) -> None:
    await slack.press(await posted(slack), ACK, user="ann")
    assert hearing.buttons.drain() == [Acknowledgement(incident="0123456789abcdef-1", by="ann", at=NOON)]
    assert hearing.buttons.drain() == []


async def test_show_me_the_calls_becomes_a_question(slack: FakeSlack, hearing: Hearing) -> None:
    await slack.press(await posted(slack), CALLS, user="ben")
    assert hearing.buttons.drain() == [Question(incident="0123456789abcdef-1", by="ben", at=NOON)]


@pytest.mark.parametrize(
    ("choice", "lasts", "incident"),
    [("1h", HOUR, ""), ("8h", 8 * HOUR, ""), ("resolved", 30 * 24 * HOUR, "0123456789abcdef-1")],
)
async def test_a_silence_is_of_this_rule_and_series_and_of_no_other(
    slack: FakeSlack, hearing: Hearing, choice: str, lasts: int, incident: str
) -> None:
    await slack.press(await posted(slack), SILENCE, user="ann", choice=choice)
    (silence,) = hearing.buttons.drain()
    assert isinstance(silence, Silence)
    assert (silence.by, silence.starts, silence.ends - silence.starts) == ("ann", NOON, lasts)
    assert (silence.incident, silence.kind) == (incident, "silence")
    assert silence.covers(alert().marks, NOON)
    assert silence.covers(alert(severity="warning", level="95%").marks, NOON)
    assert not silence.covers(alert(labels={"team": "chat", "environment": "prod"}).marks, NOON)
    assert not silence.covers(alert(rule="Other").marks, NOON)
    assert decode(encode(silence)) == silence


async def test_a_press_that_slack_tells_twice_is_one_record(slack: FakeSlack) -> None:
    payload = pressed(await posted(slack), SILENCE, "ann", "8h")
    assert {act.key for _ in range(2) for act in user_actions(payload, NOON)} == {
        user_actions(payload, NOON + 5)[0].key
    }


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"error": "internal_error"}])
async def test_what_is_pressed_is_seen_once_whatever_slack_answers(
    slack: FakeSlack, fault: dict[str, Any]
) -> None:
    """The whole way: a press, its act on the topic, the edit and the replies, each with a lost answer."""
    async with World(
        slack, slack_app_token=slack.app_token, slack_channel=slack.channels["#alerts"]
    ) as world:
        await slack.listened()
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        await world.say(incident())
        await world.wait(MINUTE)
        (message,) = slack.messages
        slack.fail_next(method="chat.update", accept=True, **fault)
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        await slack.press(message, ACK, user="ann")
        await world.wait(MINUTE)
        slack.fail_next(method="chat.postMessage", accept=True, **fault)
        await slack.press(message, CALLS, user="ben")
        await world.wait(2 * MINUTE)
        await world.say(incident(status="resolved", at=world.now))
        await world.wait(10 * MINUTE)
    assert len(slack.messages) == 1
    assert [text.split("> ")[-1].split("\n")[0] for text in message.thread] == [
        "acknowledged by ann",
        "Calls to look at",
        "resolved after 4 min",
    ]
    assert "`trace-search`" in message.thread[1]
    assert any(
        "👀 Acknowledged by ann" in json.dumps(blocks, ensure_ascii=False) for _, blocks in message.edits
    )
    assert "actions" not in message.shown


# --- which buttons there are ---------------------------------------------------------------------


def names(card: MessageState) -> list[str]:
    return [element["action_id"] for block in actions(card) for element in block["elements"]]


def test_only_what_makes_sense_can_be_pressed() -> None:
    card = MessageState.alone(alert())
    assert names(card) == [ACK, SILENCE, CALLS]
    assert names(changed(card, acknowledged=("Ann", NOON))) == [SILENCE, CALLS]
    assert names(changed(card, unheard=(Muted("silenced by Ann"),))) == [ACK, CALLS]
    assert names(changed(card, matchers=())) == [ACK, CALLS]
    assert names(MessageState.alone(alert(status="resolved"))) == []


def test_what_would_not_fit_into_a_button_is_not_offered() -> None:
    long = tuple(Matcher(f"label{n}", "=", "x" * 200) for n in range(12))
    assert names(changed(MessageState.alone(alert()), matchers=long)) == [ACK, CALLS]
    assert names(changed(MessageState.alone(alert()), incident="x" * 2_000)) == []


def changed(card: MessageState, **fields: Any) -> MessageState:
    own = {name: getattr(card, name) for name in MessageState.__slots__}
    return MessageState(**(own | fields))


def buttons(**fields: Any) -> Buttons | None:
    own = SlackSettings.of(Settings(**fields))
    assert own is not None
    return own.buttons()


def test_without_the_app_token_there_are_no_buttons(slack: FakeSlack) -> None:
    bot = {"slack_token": slack.token, "slack_channel": "#a"}
    assert buttons(**bot) is None
    assert buttons(**bot, slack_app_token=slack.app_token) is not None


def test_a_wrong_kind_of_app_token_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMVITALS_SLACK_TOKEN", "xoxb-1")
    monkeypatch.setenv("LLMVITALS_SLACK_CHANNEL", "#a")
    monkeypatch.setenv("LLMVITALS_SLACK_APP_TOKEN", "xoxb-planted")
    with pytest.raises(ConfigError, match="slack_app_token: is no app-level token") as error:
        load()
    assert "planted" not in str(error.value)


# --- what comes from outside ---------------------------------------------------------------------

hostile = st.text(st.one_of(st.sampled_from("<>&|`*_\n\x00\u202e\ud800😀"), st.characters()), max_size=80)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | hostile,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile, inner, max_size=4),
    max_leaves=12,
)
payloads = st.fixed_dictionaries(
    {"type": st.just("block_actions")},
    optional={
        "user": junk | st.fixed_dictionaries({"name": hostile}),
        "message": junk | st.fixed_dictionaries({"blocks": junk | st.lists(junk, max_size=3)}),
        "actions": junk
        | st.lists(
            st.fixed_dictionaries(
                {"action_id": st.sampled_from([ACK, SILENCE, CALLS]) | junk},
                optional={"value": junk | hostile, "selected_option": junk | st.just({"value": "1h"})},
            ),
            max_size=3,
        ),
    },
)


@given(payloads | junk)
def test_no_payload_does_harm(payload: Any) -> None:
    for act in user_actions(payload, NOON):
        assert decode(encode(act)) == act
        assert not isinstance(act, Silence) or act.matchers


@given(hostile.filter(bool), st.lists(st.tuples(hostile.filter(bool), st.just("="), hostile), max_size=6))
def test_what_a_button_carries_comes_back_or_is_not_offered(incident: str, labels: list[Any]) -> None:
    card = changed(
        MessageState.alone(alert()), incident=incident, matchers=tuple(Matcher(*label) for label in labels)
    )
    value, silences = button_value(card)
    if value:
        assert len(value) <= VALUE
        back = parsed_value(value)
        assert back is not None
        assert back.incident == incident
        assert back.matchers == (card.matchers if silences else ())


@pytest.mark.parametrize(
    "value",
    [
        None, "", "{}", '{"incident":""}', '{"incident":"i","more":1}', '{"incident":"i","matchers":[{}]}',
        '{"incident":"i","matchers":[{"name":"team","op":"=~","value":".*"}]}',
        '{"incident":"i","matchers":[{"name":"team","op":"!=","value":""}]}',
        json.dumps({"incident": "i" * 300}), json.dumps({"incident": "i", "matchers": [{"name": "n", "op": "=", "value": "v"}] * 33}),
    ],
)  # fmt: skip
def test_a_value_that_is_none_of_ours_means_nothing(value: Any) -> None:
    assert parsed_value(value) is None


def test_a_silence_without_matchers_is_never_made() -> None:
    """It would match every alert there is."""
    value = json.dumps({"incident": "i", "matchers": []})
    blocks = [{"type": "actions", "elements": [{"action_id": CALLS, "value": value}]}]
    action = {"action_id": SILENCE, "selected_option": {"value": "8h"}, "action_ts": "1"}
    payload = {"type": "block_actions", "actions": [action], "message": {"blocks": blocks}}
    assert user_actions(payload, NOON) == []


async def test_what_is_no_press_is_acknowledged_and_changes_nothing(
    slack: FakeSlack, hearing: Hearing
) -> None:
    await slack.send({"envelope_id": "e1", "type": "events_api", "payload": {"event": {}}})
    await slack.send({"type": "interactive", "envelope_id": "e2", "payload": {"type": "view_submission"}})
    await slack.press(await posted(slack), ACK)
    assert len(hearing.buttons.drain()) == 1


# --- the connection ------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["refresh_requested", "warning", ""])
async def test_a_connection_that_ends_is_made_again(slack: FakeSlack, hearing: Hearing, reason: str) -> None:
    """Slack renews connections every few hours; others are just lost."""
    before = [method for method, _ in slack.requests].count("apps.connections.open")
    await slack.disconnect(reason)
    await slack.asked("apps.connections.open", before + 1)
    await slack.listened()
    await slack.press(await posted(slack), ACK, user="ann")
    assert [act.by for act in hearing.buttons.drain()] == ["ann"]
    assert hearing.buttons.health() is None


async def test_a_connection_that_cannot_be_made_again_at_once_is_made_later(
    slack: FakeSlack, hearing: Hearing
) -> None:
    slack.fail_next(method="apps.connections.open", status=503, times=2)
    slack.fail_next(method="apps.connections.open", status=429, retry_after=9)
    await slack.disconnect("")
    await slack.asked("apps.connections.open", 5)
    await slack.listened()
    await slack.press(await posted(slack), ACK)
    assert len(hearing.buttons.drain()) == 1
    assert hearing.waits[-1] == 9
    assert hearing.buttons.health() is None


async def test_slack_that_is_away_is_tried_again_and_said_meanwhile(slack: FakeSlack) -> None:
    slack.fail_next(status=503, times=3)
    ears = Hearing(slack, slack.app_token)
    await ears.buttons.start()
    assert "buttons are not heard: http_503" in await ears.troubled()
    await slack.listened()
    await slack.press(await posted(slack), ACK)
    assert ears.buttons.health() is None
    assert ears.waits == [1, 2, 4]
    await ears.buttons.stop()
    assert len(ears.buttons.drain()) == 1


async def test_a_wrong_app_token_is_said_with_its_cure_and_tried_slowly(slack: FakeSlack) -> None:
    ears = Hearing(slack, "xapp-1-planted")
    await ears.buttons.start()
    assert await ears.troubled() == (
        "Slack's buttons are not heard: invalid_auth: "
        "set LLMVITALS_SLACK_APP_TOKEN to the app-level token (xapp-…) of the same app"
    )
    await slack.asked("apps.connections.open", 2)
    assert set(ears.waits) == {60}
    await ears.buttons.stop()


async def test_nobody_who_stops_leaves_a_connection_open(slack: FakeSlack) -> None:
    ears = Hearing(slack, slack.app_token)
    await ears.buttons.start()
    await ears.buttons.start()
    await slack.listened()
    await ears.buttons.stop()
    await slack.listened(0)
    await ears.buttons.stop()


async def test_no_secret_is_in_logs_or_health(slack: FakeSlack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    with structlog.testing.capture_logs() as logs:
        for token in (slack.app_token, "xapp-1-planted"):
            ears = Hearing(slack, token)
            slack.fail_next(method="apps.connections.open", status=500)
            await ears.buttons.start()
            said.append(await ears.troubled())
            if token == slack.app_token:
                await slack.listened()
                await slack.press(await posted(slack), ACK)
                await slack.disconnect()
            await ears.buttons.stop()
    text = f"{logs} {said} {caplog.text}"
    assert "xapp-1" not in text
    assert "ticket" not in text
    assert any(entry["event"] == "a button was pressed" for entry in logs)
