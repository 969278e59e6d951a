"""The way with a bot's token: posts, edits in place, replies, finds its own messages again."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from llmvitals.notify.message import notice
from llmvitals.notify.slack.actions import actions
from llmvitals.notify.slack.answer import Answer, Do, coded
from llmvitals.notify.slack.blocks import blocks, fallback
from llmvitals.notify.slack.connection import failed, session
from llmvitals.record.message_state import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import aiohttp

    from llmvitals.record.message_state import MessageState

EVENT: Final = "llmvitals_incident"
"""The type of our messages' metadata; its payload is `{"incident": id}`."""
REPLY: Final = "llmvitals_reply"
"""The type of our replies' metadata; its payload is `{"reply": digest}`."""
_ID: Final = re.compile(r"[CDG][A-Z0-9]{8,}")


class Bot:
    """Slack's Web API by slack_sdk, without its retry handlers.

    They sleep inside of the client, where neither the health page nor the order of messages knows of it,
    and one of them posts again after a dropped connection without asking whether the first post arrived.
    """

    threads = True

    def __init__(
        self, token: str, url: str, *, timeout: float, trace_url: str = "", buttons: bool = False
    ) -> None:
        self._token, self._url, self._timeout = token.strip(), url, timeout
        self._trace_url, self._buttons = trace_url, buttons
        self._session: aiohttp.ClientSession | None = None
        self._blind: set[str] = set()
        self._ids: dict[str, str] = {}

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
        return _answer(await asked(self._client.auth_test()))

    async def post(self, channel: str, card: MessageState, *, plain: bool) -> Answer:
        # By a name, Slack finds the channel; the answer holds its id, by which alone it can be edited.
        answer = await self._post(channel=channel, mrkdwn=False, **self._content(card, plain=plain))
        self._ids[channel] = answer.place.channel or self._ids.get(channel, channel)
        return answer

    async def edit(self, place: Place, card: MessageState, *, plain: bool) -> Answer:
        if not place.ts:
            return Answer("message_not_found")
        content = self._content(card, plain=plain)
        return _answer(await asked(self._client.chat_update(channel=place.channel, ts=place.ts, **content)))

    async def reply(self, place: Place, text: str) -> Answer:
        if not place.ts:
            return Answer("thread_not_found")
        return await self._post(
            channel=place.channel,
            thread_ts=place.ts,
            text=text,
            mrkdwn=True,
            **_marked(REPLY, reply=_digest(text)),
        )

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        where = self._ids.get(channel, channel)
        return await self._look(where, EVENT, {"incident": incident}, oldest=f"{max(since, 0):.6f}")

    async def heard(self, place: Place, text: str) -> Answer:
        return await self._look(place.channel, REPLY, {"reply": _digest(text)}, ts=place.ts)

    async def _post(self, **content: Any) -> Answer:
        return _answer(
            await asked(self._client.chat_postMessage(unfurl_links=False, unfurl_media=False, **content))
        )

    async def _look(self, channel: str, event: str, payload: dict[str, str], **where: Any) -> Answer:
        """The message with this metadata: in the thread `ts`, or in the channel itself."""
        if channel in self._blind or not _ID.fullmatch(channel):
            return await self.check()
        ask = self._client.conversations_replies if "ts" in where else self._client.conversations_history
        found = await asked(ask(channel=channel, limit=200, include_all_metadata=True, **where))
        answer = _answer(found)
        if answer.do is Do.DONE and isinstance(found, dict):
            return Answer(place=Place(channel, _ts(found.get("messages"), event, payload)))
        if answer.do in {Do.ASK, Do.WAIT}:
            return answer
        if answer.do is Do.ANEW:
            return Answer()
        # The scope channels:history (or groups:history) is not there; it is a comfort, not a need.
        self._blind.add(channel)
        return await self.check()

    def _content(self, card: MessageState, *, plain: bool) -> dict[str, Any]:
        said = notice(card, trace_url=self._trace_url)
        return {
            "text": fallback(said),
            "blocks": [] if plain else blocks(said, actions=actions(card) if self._buttons else None),
            **_marked(EVENT, incident=card.incident),
        }


def _marked(event: str, **payload: str) -> dict[str, Any]:
    metadata = {"event_type": event, "event_payload": payload}
    return {"parse": "none", "link_names": False, "metadata": metadata}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _ts(messages: object, event: str, payload: dict[str, str]) -> str:
    for message in messages if isinstance(messages, list) else []:
        metadata = message.get("metadata") or {}
        if metadata.get("event_type") == event and metadata.get("event_payload") == payload:
            return str(message.get("ts", ""))
    return ""


async def asked(request: Awaitable[AsyncSlackResponse]) -> dict[str, Any] | Answer:
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
    return Answer(place=Place(str(asked.get("channel", "")), str(asked.get("ts", ""))))
