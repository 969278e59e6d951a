"""What people press in Slack → user actions, by Socket Mode, so that Slack needs no way in to us."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies, proxy_bypass

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from llmvitals.notify.protocol import Answer, Do
from llmvitals.notify.slack.actions import user_actions
from llmvitals.notify.slack.approval import is_submission
from llmvitals.notify.slack.connection import answer as answered
from llmvitals.notify.slack.connection import asked, failed, session, web_client
from llmvitals.rate_limit import RateLimits
from llmvitals.record.user_action import UserAction

if TYPE_CHECKING:
    from aiohttp import WSMessage
    from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

    from llmvitals.notify.slack.approval import Approvers

log: Final = structlog.get_logger(__name__)

MOST: Final = 1_000
"""The most user actions that wait to be drained; the oldest are dropped."""
_CURES: Final = {
    "invalid_auth": "set LLMVITALS_SLACK_APP_TOKEN to the app-level token (xapp-…) of the same app",
    "not_allowed_token_type": "LLMVITALS_SLACK_APP_TOKEN has to be an app-level token (xapp-…)",
    "missing_scope": "give the app-level token the scope connections:write",
    "no_permission": "turn Socket Mode on in the app's settings",
}


class Buttons:
    """Hears the buttons. Alerts are sent without it; trouble is shown in health, and it tries again.

    slack_sdk's client follows Slack's own requests to reconnect; a connection that is lost for any other
    reason is opened anew here: the client would retry a used address for ever, and reports neither that nor a
    wrong token.
    """

    def __init__(
        self,
        app_token: str,
        url: str,
        limits: RateLimits | None = None,
        approvers: Approvers | None = None,
    ) -> None:
        self._approvers = approvers
        self._token, self._url, self._limits = app_token.strip(), url, limits or RateLimits()
        self._heard_actions: deque[UserAction] = deque(maxlen=MOST)
        self._trouble: str | None = None
        self._task: asyncio.Task[None] | None = None
        # What slack_sdk would log holds the connection's address, which is a secret, and people's names.
        self._mute = logging.getLogger("llmvitals.slack_sdk.socket")
        self._mute.disabled = True

    async def start(self) -> None:
        """Begin to listen; returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="slack buttons")

    async def stop(self) -> None:
        """End the connection; what was heard can still be drained."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @property
    def approves(self) -> bool:
        """Whether there is somebody who may approve a raise of a budget."""
        return self._approvers is not None

    def drain(self) -> list[UserAction]:
        """Return what was pressed since the last call, oldest first."""
        actions = list(self._heard_actions)
        self._heard_actions.clear()
        return actions

    def health(self) -> str | None:
        """Return why buttons aren't heard at present, and what to do; None when all is well."""
        return self._trouble

    async def _listen(self) -> None:
        wait = 0.5
        while True:
            began = self._limits.monotonic()
            try:
                answer = await self._connected()
            except Exception as error:  # noqa: BLE001 - whatever it is, buttons are heard again some time
                answer = failed(error)
            if answer.do is not Do.DONE:
                self._trouble = _cured(answer)
                log.warning("slack's buttons are not heard", reason=self._trouble)
            slow = self._limits.slow if answer.do in {Do.FIX, Do.SIMPLIFY} else None
            # A connection that was there for a while and is lost is made again soon.
            lived = self._limits.monotonic() - began > self._limits.longest
            wait = 0.5 if lived else min(wait * 2, self._limits.longest)
            await self._limits.sleep(answer.after or slow or wait)

    async def _connected(self) -> Answer:
        """One connection, from its opening to its end; what kept it from opening, if something did."""
        async with session(self._limits.timeout) as http:
            web = web_client("", self._url, http, self._mute)
            opened = await asked(web.apps_connections_open(app_token=self._token))
            if isinstance(opened, Answer):
                return opened
            address, lost = str(opened.get("url", "")), asyncio.Event()

            async def over(_: WSMessage) -> None:
                lost.set()

            client = SocketModeClient(
                self._token,
                self._mute,
                web,
                auto_reconnect_enabled=False,
                on_close_listeners=[over],
                on_error_listeners=[over],
            )
            client.proxy = _proxy(address)
            client.wss_uri = address
            client.socket_mode_request_listeners.append(self._heard)
            try:
                # Not wait_for: Python 3.11's may swallow a cancellation.
                async with asyncio.timeout(self._limits.timeout):
                    await client.connect()  # type: ignore[no-untyped-call]
                self._trouble = None
                await self._lost(client, lost)
            except TimeoutError:
                return answered("unreachable")
            finally:
                await client.close()  # type: ignore[no-untyped-call]
        return Answer()

    async def _lost(self, client: SocketModeClient, lost: asyncio.Event) -> None:
        """Wait until the connection is no more; one that Slack replaced is another one's end."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(client.ping_interval):
                    await lost.wait()
            lost.clear()
            if not await client.is_connected():
                # The client holds the lock while it makes the connection that Slack asked for.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.timeout), client.connect_operation_lock:
                        if await client.is_connected():
                            continue
                return

    async def _heard(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        answer = None
        if request.type == "interactive":
            for action in user_actions(request.payload, self._limits.clock()):
                self._hear(action)
            if self._approvers is not None and is_submission(request.payload):
                answer = await self._decided(self._approvers, request.payload)
        # Slack wants it within 3 s, and shows the person a warning without it.
        response = SocketModeResponse(envelope_id=request.envelope_id, payload=answer)
        await client.send_socket_mode_response(response)
        if request.type == "interactive" and self._approvers is not None:
            await self._approvers.open(request.payload)

    def _hear(self, action: UserAction) -> None:
        log.info("a button was pressed", action=type(action).__name__.lower(), by=action.by)
        self._heard_actions.append(action)

    async def _decided(self, approvers: Approvers, payload: Any) -> dict[str, Any] | None:
        """Take in a submitted modal; return what Slack is to show in it, None: nothing, it closes."""
        found = await approvers.decide(payload)
        if isinstance(found, dict):
            return {"response_action": "errors", "errors": found}
        if found is not None:
            self._hear(found)
        return None


async def opened(app_token: str, url: str) -> tuple[Answer, str]:
    """Return whether Socket Mode would let us in, and what to do where it would not."""
    async with session(RateLimits().timeout) as http:
        web = web_client("", url, http)
        found = await asked(web.apps_connections_open(app_token=app_token.strip()))
    answer = found if isinstance(found, Answer) else Answer()
    return answer, "" if answer.do is Do.DONE else _cured(answer)


def _cured(answer: Answer) -> str:
    cure = _CURES.get(answer.code)
    return f"Slack's buttons are not heard: {f'{answer.code}: {cure}' if cure else answer.advice}"


def _proxy(address: str) -> str | None:
    """slack_sdk takes HTTPS_PROXY without NO_PROXY; this knows both."""
    host = address.split("//", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
    return None if proxy_bypass(host) else getproxies().get("https" if address[:4] == "wss:" else "http")
