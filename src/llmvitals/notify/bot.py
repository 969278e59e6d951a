"""The way with a bot's token: posts, edits in place, finds its own messages again."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from llmvitals.notify.answer import Answer, Do, coded
from llmvitals.notify.connection import failed, session
from llmvitals.notify.message import blocks, fallback

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import aiohttp

    from llmvitals.notify.message import Notice
    from llmvitals.record.incident import Incident

EVENT: Final = "llmvitals_incident"
"""The type of our messages' metadata; its payload is `{"incident": id}`."""
_ID: Final = re.compile(r"[CDG][A-Z0-9]{8,}")


class Bot:
    """Slack's Web API by slack_sdk, without its retry handlers.

    They sleep inside of the client, where neither the health page nor the order of messages knows of it,
    and one of them posts again after a dropped connection without asking whether the first post arrived.
    """

    def __init__(self, token: str, url: str, *, timeout: float) -> None:
        self._token, self._url, self._timeout = token.strip(), url, timeout
        self._session: aiohttp.ClientSession | None = None
        self._blind: set[str] = set()

    async def open(self) -> None:
        self._session = session(self._timeout)
        quiet = logging.getLogger("llmvitals.slack_sdk")
        quiet.setLevel(logging.WARNING)
        self._client = AsyncWebClient(
            self._token, self._url, session=self._session, retry_handlers=[], logger=quiet
        )
        # slack_sdk takes HTTPS_PROXY without NO_PROXY; the session knows both.
        self._client.proxy = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self) -> Answer:
        return _answer(await _asked(self._client.auth_test()))

    async def post(self, channel: str, incident: str, said: Notice, *, plain: bool) -> Answer:
        # By a name, Slack finds the channel; the answer holds its id, by which alone it can be edited.
        return _answer(
            await _asked(
                self._client.chat_postMessage(
                    channel=channel,
                    unfurl_links=False,
                    unfurl_media=False,
                    mrkdwn=False,
                    **_content(incident, said, plain=plain),
                )
            )
        )

    async def edit(self, shown: Incident, said: Notice, *, plain: bool) -> Answer:
        if not shown.ts:
            return Answer("message_not_found")
        content = _content(shown.id, said, plain=plain)
        return _answer(await _asked(self._client.chat_update(channel=shown.channel, ts=shown.ts, **content)))

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        if channel in self._blind or not _ID.fullmatch(channel):
            return await self.check()
        found = await _asked(
            self._client.conversations_history(
                channel=channel, oldest=f"{max(since, 0):.6f}", limit=200, include_all_metadata=True
            )
        )
        answer = _answer(found)
        if answer.do is Do.DONE and isinstance(found, dict):
            return Answer(channel=channel, ts=_ts(found.get("messages"), incident))
        if answer.do in {Do.ASK, Do.WAIT} and answer.code != "ratelimited":
            return answer
        # The scope channels:history (or groups:history) is not there; it is a comfort, not a need.
        self._blind.add(channel)
        return await self.check()


def _content(incident: str, said: Notice, *, plain: bool) -> dict[str, Any]:
    return {
        "text": fallback(said),
        "blocks": [] if plain else blocks(said),
        "parse": "none",
        "link_names": False,
        "metadata": {"event_type": EVENT, "event_payload": {"incident": incident}},
    }


def _ts(messages: object, incident: str) -> str:
    for message in messages if isinstance(messages, list) else []:
        metadata = message.get("metadata") or {}
        if (
            metadata.get("event_type") == EVENT
            and metadata.get("event_payload", {}).get("incident") == incident
        ):
            return str(message.get("ts", ""))
    return ""


async def _asked(request: Awaitable[AsyncSlackResponse]) -> dict[str, Any] | Answer:
    """Slack's answer as a dict, or what its failure stands for."""
    try:
        response = await request
    except SlackApiError as error:
        response = error.response
    except Exception as error:  # noqa: BLE001 - whatever it is, the alert is kept and tried again
        return failed(error)
    if not isinstance(response, AsyncSlackResponse):
        return Answer("unreadable")
    data = response.data if isinstance(response.data, dict) else {}
    if data.get("ok") is True:
        return data
    unsaid = "unreadable" if response.status_code == 200 else f"http_{response.status_code}"
    return coded(data.get("error") or unsaid, after=response.headers.get("Retry-After"))


def _answer(asked: dict[str, Any] | Answer) -> Answer:
    if isinstance(asked, Answer):
        return asked
    return Answer(channel=str(asked.get("channel", "")), ts=str(asked.get("ts", "")))
