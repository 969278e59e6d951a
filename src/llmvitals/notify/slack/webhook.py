"""Slack by an incoming webhook, the degraded mode: it can't edit, reply or find a message again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmvitals.notify.message import notice
from llmvitals.notify.protocol import Answer, Do, Notifier
from llmvitals.notify.slack.blocks import blocks, fallback
from llmvitals.notify.slack.connection import coded, failed, session

if TYPE_CHECKING:
    import aiohttp

    from llmvitals.record.notification import MessageState


class Webhook(Notifier):
    """Posts an incident, and again at each news.

    Bare aiohttp, since slack_sdk's client would write the URL, which is the secret, into its debug log.
    """

    name = "slack"
    title = "Slack"

    def __init__(self, url: str, *, timeout: float, trace_url: str = "", dashboard_url: str = "") -> None:
        self._url, self._timeout = url.strip(), timeout
        self._trace_url, self._dashboard_url = trace_url, dashboard_url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = session(self._timeout)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self) -> Answer:
        """Send nothing: a webhook that works refuses it."""
        answer = await self._send({})
        return answer if answer.do in {Do.WAIT, Do.ASK, Do.FIX, Do.MOVE} else Answer()

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        del channel  # a webhook has one channel, and drops metadata
        message = notice(state, trace_url=self._trace_url, dashboard_url=self._dashboard_url)
        body: dict[str, Any] = {"text": fallback(message), "unfurl_links": False, "unfurl_media": False}
        if not plain:
            body["blocks"] = blocks(message)
        return await self._send(body)

    async def _send(self, body: dict[str, Any]) -> Answer:
        if self._session is None:
            raise RuntimeError("open() comes first")
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as response:
                text = (await response.content.read(1_000)).decode("utf-8", "replace").strip()
                if response.status == 200 and text == "ok":
                    return Answer()
                # Slack's codes come as plain text with 4xx; whatever else is a proxy's page.
                error = text if 400 <= response.status < 500 and text.replace("_", "").isalpha() else ""
                status_code = "unreadable" if response.status == 200 else f"http_{response.status}"
                code = status_code if response.status == 429 else error or status_code
                return coded(code, after=response.headers.get("Retry-After"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the alert is kept and tried again
            return failed(error)
