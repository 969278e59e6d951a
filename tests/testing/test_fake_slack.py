"""The fake Slack answers as the real one, through Slack's own client."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from llmvitals.testing import FakeSlack
from waiting import deadline

HEADER = {"type": "header", "text": {"type": "plain_text", "text": "Hello"}}


def client(slack: FakeSlack, token: str | None = None) -> AsyncWebClient:
    found = AsyncWebClient(token or slack.token, slack.url, timeout=round(deadline(2)), retry_handlers=[])
    found.proxy = None
    return found


async def refusal(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response.get("error"))


async def test_a_message_is_posted_by_name_and_edited_by_id() -> None:
    async with FakeSlack(["#alerts"]) as slack:
        web = client(slack)
        posted = await web.chat_postMessage(channel="#alerts", text="one", blocks=[HEADER])
        await web.chat_update(channel=posted["channel"], ts=posted["ts"], text="two")
        (message,) = slack.messages
        assert (message.text, message.blocks) == ("two", [])
        assert message.edits == [("one", [HEADER])]
        assert (message.channel, message.channel_name) == (posted["channel"], "#alerts")
        assert await refusal(web.chat_update(channel="#alerts", ts=posted["ts"], text="x")) == (
            "channel_not_found"
        )
        assert await refusal(web.chat_update(channel=posted["channel"], ts="1.1", text="x")) == (
            "message_not_found"
        )


async def test_tokens_channels_and_scopes_are_checked() -> None:
    async with FakeSlack(["#alerts"], scopes=["chat:write"]) as slack:
        assert await refusal(client(slack, "xoxb-other").auth_test()) == "invalid_auth"
        assert (await client(slack).auth_test())["ok"] is True
        web = client(slack)
        assert await refusal(web.chat_postMessage(channel="#none", text="x")) == "channel_not_found"
        channel = slack.channels["#alerts"]
        assert await refusal(web.conversations_history(channel=channel)) == "missing_scope"
        assert await refusal(web.api_call("chat.nonsense")) == "unknown_method"
        assert slack.messages == []


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
        [{"type": "section"}],
        [{"type": "context", "elements": []}],
        [
            {
                "type": "actions",
                "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}],
            }
        ],
        [{"type": "nonsense"}],
        [HEADER] * 51,
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2_900}}] * 5,
    ],
)
async def test_blocks_over_a_limit_are_refused(blocks: list[dict[str, Any]]) -> None:
    async with FakeSlack() as slack:
        answer = await refusal(client(slack).chat_postMessage(channel="#alerts", text="x", blocks=blocks))
        assert answer == "invalid_blocks"
        assert slack.messages == []


async def test_history_gives_metadata_newest_first() -> None:
    async with FakeSlack() as slack:
        web = client(slack)
        metadata = {"event_type": "e", "event_payload": {"incident": "i"}}
        first = await web.chat_postMessage(channel="#alerts", text="one", metadata=metadata)
        await web.chat_postMessage(channel="#alerts", text="two")
        channel = slack.channels["#alerts"]
        told = await web.conversations_history(channel=channel, include_all_metadata=True)
        assert [message["text"] for message in told["messages"]] == ["two", "one"]
        assert told["messages"][1]["metadata"] == metadata
        later = await web.conversations_history(channel=channel, oldest=first["ts"])
        assert [message["text"] for message in later["messages"]] == ["two"]
        untold = await web.conversations_history(channel=channel)
        assert "metadata" not in untold["messages"][1]


async def test_the_webhook_says_ok_or_the_error_as_text() -> None:
    async with FakeSlack() as slack, aiohttp.ClientSession() as session:

        async def send(body: dict[str, Any]) -> tuple[int, str]:
            async with session.post(slack.webhook_url, json=body) as response:
                return response.status, await response.text()

        assert await send({"text": "hello"}) == (200, "ok")
        assert await send({}) == (400, "no_text")
        assert await send({"blocks": [{"type": "nonsense"}]}) == (400, "invalid_blocks")
        assert [(message.text, message.webhook) for message in slack.messages] == [("hello", True)]


async def test_scripted_faults_hit_the_next_requests_and_no_others() -> None:
    async with FakeSlack() as slack:
        web = client(slack)
        slack.fail_next(status=429, retry_after=7)
        slack.fail_next(status=500, accept=True)
        slack.fail_next(error="account_inactive", method="auth.test")
        with pytest.raises(SlackApiError) as caught:
            await web.chat_postMessage(channel="#alerts", text="one")
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "7"
        assert slack.messages == []
        with pytest.raises(SlackApiError) as caught:
            await web.chat_postMessage(channel="#alerts", text="two")
        assert caught.value.response.status_code == 500
        assert [message.text for message in slack.messages] == ["two"]
        await web.chat_postMessage(channel="#alerts", text="three")
        assert await refusal(web.auth_test()) == "account_inactive"
        assert (await web.auth_test())["ok"] is True


async def test_a_connection_can_drop_or_hang_after_the_message_was_taken() -> None:
    async with FakeSlack() as slack:
        slack.fail_next(drop=True, accept=True)
        with pytest.raises(aiohttp.ClientError):
            await client(slack).chat_postMessage(channel="#alerts", text="one")
        slack.fail_next(hang=True, accept=True)
        waiting = asyncio.create_task(client(slack).chat_postMessage(channel="#alerts", text="two"))
        await slack.wait_for(lambda message: message.text == "two")
        assert not waiting.done()
        waiting.cancel()
        assert [message.text for message in slack.messages] == ["one", "two"]


async def test_waiting_in_vain_shows_what_is_there() -> None:
    async with FakeSlack() as slack:
        await client(slack).chat_postMessage(channel="#alerts", text="something else")
        with pytest.raises(AssertionError, match="something else"):
            await slack.wait_for(lambda message: message.text == "mine", timeout=0.01)


async def test_replies_are_in_their_thread_and_not_in_the_channel() -> None:
    async with FakeSlack() as slack:
        web = client(slack)
        first = await web.chat_postMessage(channel="#alerts", text="one")
        metadata = {"event_type": "e", "event_payload": {"n": 1}}
        await web.chat_postMessage(
            channel=first["channel"], thread_ts=first["ts"], text="news", metadata=metadata
        )
        (message,) = slack.messages
        assert message.thread == ["news"]
        told = await web.conversations_replies(
            channel=first["channel"], ts=first["ts"], include_all_metadata=True
        )
        assert [(m["text"], m["thread_ts"]) for m in told["messages"]] == [
            ("one", first["ts"]),
            ("news", first["ts"]),
        ]
        assert told["messages"][1]["metadata"] == metadata
        history = await web.conversations_history(channel=first["channel"])
        assert [m["text"] for m in history["messages"]] == ["one"]
        for answer in (
            web.chat_postMessage(channel="#alerts", thread_ts="1.2", text="lost"),
            web.conversations_replies(channel=first["channel"], ts="1.2"),
        ):
            assert await refusal(answer) == "thread_not_found"


async def test_what_came_by_the_webhook_cannot_be_edited() -> None:
    async with FakeSlack() as slack, aiohttp.ClientSession() as session:
        async with session.post(slack.webhook_url, json={"text": "hello"}):
            (message,) = slack.messages
        answer = client(slack).chat_update(channel=message.channel, ts=message.ts, text="x")
        assert await refusal(answer) == "cant_update_message"


async def test_it_keeps_slacks_limits_where_it_is_asked_to() -> None:
    async with FakeSlack(["#a", "#b"], limited=True) as slack:
        web = client(slack)
        for _ in range(5):
            first = await web.chat_postMessage(channel="#a", text="x")
        with pytest.raises(SlackApiError) as limited:
            await web.chat_postMessage(channel="#a", text="x")
        assert limited.value.response.status_code == 429
        assert limited.value.response.headers["Retry-After"] == "1"
        await web.chat_postMessage(channel="#b", text="x")
        for _ in range(50):
            await web.chat_update(channel=first["channel"], ts=first["ts"], text="x")
        assert (
            await refusal(web.chat_update(channel=first["channel"], ts=first["ts"], text="x"))
            == "ratelimited"
        )
        assert len(slack.messages) == 6


async def test_socket_mode_wants_the_apps_own_token_and_a_ticket_is_good_once() -> None:
    async with FakeSlack() as slack, aiohttp.ClientSession() as session:
        web = client(slack)
        assert await refusal(web.apps_connections_open(app_token=slack.token)) == "not_allowed_token_type"
        assert await refusal(web.apps_connections_open(app_token=slack.app_token + "2")) == "invalid_auth"
        assert (
            await refusal(AsyncWebClient(slack.app_token, slack.url).auth_test()) == "not_allowed_token_type"
        )
        address = (await web.apps_connections_open(app_token=slack.app_token))["url"]
        async with session.ws_connect(address) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(address)


async def test_pressing_what_is_not_there_or_what_nobody_hears_is_an_error() -> None:
    async with FakeSlack() as slack:
        button = {
            "type": "button",
            "text": {"type": "plain_text", "text": "A"},
            "action_id": "a",
            "value": "v",
        }
        await client(slack).chat_postMessage(
            channel="#alerts", text="x", blocks=[{"type": "actions", "elements": [button]}]
        )
        with pytest.raises(AssertionError, match="nobody listens"):
            await slack.press(slack.messages[0], "a")
        async with aiohttp.ClientSession() as session:
            opened = await client(slack).apps_connections_open(app_token=slack.app_token)
            async with session.ws_connect(opened["url"]) as socket:
                await slack.listened()
                with pytest.raises(AssertionError, match="has no b; it has"):
                    await slack.press(slack.messages[0], "b")
                press = asyncio.create_task(slack.press(slack.messages[0], "a", user="ann"))
                await socket.receive_json()
                said = await socket.receive_json()
                assert (said["type"], said["payload"]["actions"][0]["value"]) == ("interactive", "v")
                assert said["payload"]["user"]["name"] == "ann"
                await socket.send_json({"envelope_id": said["envelope_id"]})
                await press


@pytest.mark.parametrize(
    "element",
    [
        {"type": "button", "text": {"type": "plain_text", "text": "A"}, "value": "x" * 2_001},
        {"type": "button", "text": {"type": "plain_text", "text": "A"}, "action_id": "x" * 256},
        {"type": "button", "text": {"type": "plain_text", "text": "A"}, "style": "green"},
        {"type": "button", "text": {"type": "mrkdwn", "text": "A"}},
        {"type": "static_select", "options": []},
        {"type": "static_select", "options": [{"text": {"type": "plain_text", "text": "A"}}]},
        {
            "type": "static_select",
            "options": [{"text": {"type": "plain_text", "text": "A"}, "value": "x" * 151}],
        },
        {"type": "plain_text", "text": "A"},
        {"type": "nonsense"},
    ],
)
async def test_buttons_over_a_limit_are_refused(element: dict[str, Any]) -> None:
    async with FakeSlack() as slack:
        blocks = [{"type": "actions", "elements": [element]}]
        answer = await refusal(client(slack).chat_postMessage(channel="#alerts", text="x", blocks=blocks))
        assert answer == "invalid_blocks"


async def test_two_buttons_of_one_name_are_refused() -> None:
    async with FakeSlack() as slack:
        button = {"type": "button", "text": {"type": "plain_text", "text": "A"}, "action_id": "a"}
        blocks = [{"type": "actions", "elements": [button, button]}]
        answer = await refusal(client(slack).chat_postMessage(channel="#alerts", text="x", blocks=blocks))
        assert answer == "invalid_blocks"
