"""Slack with a bot's token: posts, edits in place, replies, and finds its own messages again.

How a value went is a chart that Slack draws, the block `data_visualization`. Its reference:
https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block
"""

from __future__ import annotations

import hashlib
import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from llmvitals.notify.figure import finite, named
from llmvitals.notify.message import notice
from llmvitals.notify.protocol import Answer, Do, Notifier
from llmvitals.notify.slack.actions import actions
from llmvitals.notify.slack.approval import button
from llmvitals.notify.slack.block_limits import CHART
from llmvitals.notify.slack.blocks import blocks, fallback
from llmvitals.notify.slack.connection import answer, asked, session, web_client
from llmvitals.notify.slack.thread import drawn
from llmvitals.notify.title import one_series
from llmvitals.record.notification import Place
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import aiohttp

    from llmvitals.notify.slack.buttons import Buttons
    from llmvitals.record.alert import Alert
    from llmvitals.record.notification import MessageState, Reply
    from llmvitals.record.user_action import UserAction

    Block = dict[str, Any]

TYPE: Final = "data_visualization"
_SCALES: Final = {"share": (100.0, "%"), "usd": (1.0, "dollars"), "tokens_per_s": (1.0, "tokens a second")}

log: Final = structlog.get_logger(__name__)

EVENT: Final = "llmvitals_incident"
"""The type of our messages' metadata; its payload is `{"incident": id}`."""
REPLY: Final = "llmvitals_reply"
"""The type of our replies' metadata; its payload is `{"reply": digest}`."""
_ID: Final = re.compile(r"[CDG][A-Z0-9]{8,}")


def chart(state: MessageState) -> list[Block]:
    """Return the block for a message about one series that fires, if its trend is known; else nothing."""
    alert = state.chief
    values = finite(alert.trend)[-CHART["points"] :]
    single = state.total == 1 or (not state.digest and one_series(state))
    # The trend of a budget would be of what was spent in each step, which is not compared with the limit.
    if not single or alert.status == "resolved" or alert.bound == "budget" or len(values) < 2:
        return []
    scale, unit = _scale(alert, values)
    labels = [*(str(step) for step in range(1 - len(values), 0)), "now"]
    lines = {clean(named(alert), CHART["name"]): values}
    if finite([alert.limit * scale]):
        lines |= {"usual" if alert.bound == "usual" else "limit": [alert.limit] * len(values)}
    series = [
        {
            "name": name or "value",
            "data": [
                {"label": label, "value": round(value * scale, 6)}
                for label, value in zip(labels, line, strict=True)
            ],
        }
        for name, line in lines.items()
    ]
    axes: Block = {"categories": labels, "y_label": unit}
    if alert.window:
        axes["x_label"] = clean(f"steps of the last {alert.window}", CHART["label"])
    title = clean(named(alert), CHART["title"]) or "value"
    return [{"type": TYPE, "title": title, "chart": {"type": "line", "series": series, "axis_config": axes}}]


def _scale(alert: Alert, values: Sequence[float]) -> tuple[float, str]:
    """What to multiply by, and the unit then."""
    if alert.unit == "ms":
        return (0.001, "seconds") if max(values) >= 1_000 else (1.0, "ms")
    return _SCALES.get(alert.unit, (1.0, clean(named(alert), CHART["label"]) or "value"))


class Bot(Notifier):
    """Slack's Web API by slack_sdk, without its retry handlers.

    They sleep inside the client, unknown to the health page and to the order of messages, and one of them
    posts again after a dropped connection without asking whether the first post arrived.
    """

    name = "slack"
    title = "Slack"
    threads = True

    def __init__(
        self,
        token: str,
        url: str,
        *,
        timeout: float,
        trace_url: str = "",
        dashboard_url: str = "",
        buttons: Buttons | None = None,
    ) -> None:
        self._token, self._url, self._timeout = token.strip(), url, timeout
        self._trace_url, self._dashboard_url, self._buttons = trace_url, dashboard_url, buttons
        self._session: aiohttp.ClientSession | None = None
        self._blind: set[str] = set()
        self._charts = True
        self._ids: dict[str, str] = {}

    async def open(self) -> None:
        self._session = session(self._timeout)
        quiet = logging.getLogger("llmvitals.slack_sdk")
        quiet.setLevel(logging.WARNING)
        self._client = web_client(self._token, self._url, self._session, quiet)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self) -> Answer:
        return _answer(await asked(self._client.auth_test()))

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        # By a name, Slack finds the channel; the answer holds its id, by which alone it can be edited.
        posted = await self._shown(state, plain, partial(self._post, channel=channel, mrkdwn=False))
        self._ids[channel] = posted.place.channel or self._ids.get(channel, channel)
        return posted

    async def edit(self, place: Place, state: MessageState, *, plain: bool) -> Answer:
        if not place.ts:
            return answer("message_not_found")

        async def update(**content: Any) -> Answer:
            return _answer(
                await asked(self._client.chat_update(channel=place.channel, ts=place.ts, **content))
            )

        return await self._shown(state, plain, update)

    async def reply(self, place: Place, reply: Reply) -> Answer:
        if not place.ts:
            return answer("thread_not_found")
        text = drawn(reply, trace_url=self._trace_url)
        sent = await self._sent(
            channel=place.channel,
            thread_ts=place.ts,
            text=text,
            mrkdwn=True,
            **_marked(REPLY, reply=_digest(text)),
        )
        return await self._orphan(sent) or _answer(sent)

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        where = self._ids.get(channel, channel)
        return await self._look(where, EVENT, {"incident": incident}, oldest=f"{max(since, 0):.6f}")

    async def heard(self, place: Place, reply: Reply) -> Answer:
        text = drawn(reply, trace_url=self._trace_url)
        return await self._look(place.channel, REPLY, {"reply": _digest(text)}, ts=place.ts)

    async def listen(self) -> None:
        if self._buttons is not None:
            await self._buttons.start()

    async def rest(self) -> None:
        if self._buttons is not None:
            await self._buttons.stop()

    def actions(self) -> Sequence[UserAction]:
        return () if self._buttons is None else self._buttons.drain()

    def trouble(self) -> str | None:
        return None if self._buttons is None else self._buttons.health()

    async def _post(self, **content: Any) -> Answer:
        return _answer(await self._sent(**content))

    async def _sent(self, **content: Any) -> dict[str, Any] | Answer:
        return await asked(self._client.chat_postMessage(unfurl_links=False, unfurl_media=False, **content))

    async def _orphan(self, sent: dict[str, Any] | Answer) -> Answer | None:
        """Take a reply back whose message somebody deleted: Slack has put it into the channel itself."""
        message = sent.get("message") if isinstance(sent, dict) else None
        if not isinstance(sent, dict) or not isinstance(message, dict) or message.get("thread_ts"):
            return None
        await asked(self._client.chat_delete(channel=str(sent.get("channel")), ts=str(sent.get("ts"))))
        return answer("message_not_found")

    async def _look(self, channel: str, event: str, payload: dict[str, str], **where: Any) -> Answer:
        """The message with this metadata: in the thread `ts`, or in the channel itself."""
        if channel in self._blind or not _ID.fullmatch(channel):
            return await self.check()
        ask = self._client.conversations_replies if "ts" in where else self._client.conversations_history
        found = await asked(ask(channel=channel, limit=200, include_all_metadata=True, **where))
        looked = _answer(found)
        if looked.do is Do.DONE and isinstance(found, dict):
            return Answer(place=Place(channel, _ts(found.get("messages"), event, payload)))
        if looked.do in {Do.ASK, Do.WAIT}:
            return looked
        if looked.do is Do.REPOST:
            return Answer()
        # The scope channels:history (or groups:history) is not there; it is a comfort, not a need.
        self._blind.add(channel)
        return await self.check()

    async def _shown(
        self, state: MessageState, plain: bool, send: Callable[..., Awaitable[Answer]]
    ) -> Answer:
        """Send what a state says; without its chart where this Slack knows no charts, from then on."""
        content = self._content(state, plain=plain)
        found = await send(**content)
        charted = any(block["type"] == TYPE for block in content["blocks"])
        if found.code == "invalid_blocks" and charted:
            self._charts = False
            log.warning("slack refused a chart: messages have none until the next start")
            found = await send(**self._content(state, plain=plain))
        return found

    def _actions(self, state: MessageState) -> list[dict[str, Any]] | None:
        if self._buttons is None:
            return None
        return actions(state, button(state) if self._buttons.approves else ())

    def _content(self, state: MessageState, *, plain: bool) -> dict[str, Any]:
        message = notice(state, trace_url=self._trace_url, dashboard_url=self._dashboard_url)
        charts = chart(state) if self._charts else ()
        shown = [] if plain else blocks(message, actions=self._actions(state), charts=charts)
        return {"text": fallback(message), "blocks": shown, **_marked(EVENT, incident=state.incident)}


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


def _answer(asked: dict[str, Any] | Answer) -> Answer:
    if isinstance(asked, Answer):
        return asked
    return Answer(place=Place(str(asked.get("channel", "")), str(asked.get("ts", ""))))
