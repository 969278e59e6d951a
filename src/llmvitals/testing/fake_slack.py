"""FakeSlack: the Web API, one incoming webhook and Socket Mode on a port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from aiohttp import web

from llmvitals.testing.sockets import LINK, Sockets, pressed, view_submission
from llmvitals.testing.workspace import Fault, Json, Posted, Workspace, no

WEBHOOK_PATH: Final = "/services/T00000000/B00000000/fake-webhook-secret"


class FakeSlack:
    """chat.postMessage, .update, .delete, conversations.*, auth.test, views.open; a webhook; Socket Mode.

    channels: names of the existing channels; the app is in all of them, and the webhook posts to the first.
    scopes: what the token may do. limited: keep Slack's rate limits: one message a second and channel after
    five at once, 50 edits a minute. port: 0 is any free one. charts: it knows the block data_visualization.

    url: for `slack_api_url`. webhook_url, token, app_token: the secrets. messages: what people see, oldest
    first, each with its replies. requests: (method, arguments) of every request, failed or not. views: the
    modals that were opened. usergroups: id of a user group → ids of its members (sockets.user_id).
    """

    token: Final = "xoxb-fake-token"  # noqa: S105 - a fake's
    app_token: Final = "xapp-1-fake-app-token"  # noqa: S105 - a fake's

    def __init__(
        self,
        channels: Sequence[str] = ("#alerts",),
        *,
        scopes: Sequence[str] = ("chat:write", "channels:history"),
        limited: bool = False,
        port: int = 0,
        charts: bool = True,
    ) -> None:
        self._workspace = Workspace(channels, scopes, limited=limited)
        self._workspace.charts = charts
        self.channels, self.messages = self._workspace.channels, self._workspace.messages
        self.views, self.usergroups = self._workspace.views, self._workspace.usergroups
        self.requests: list[tuple[str, Json]] = []
        self._port = port
        self._faults: deque[Fault] = deque()
        self._sockets = Sockets()
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post(WEBHOOK_PATH, self._webhook)
        app.router.add_get(LINK, self._sockets.serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        await self._sockets.disconnect("", warned=False)
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Return the Web API's address."""
        return f"http://127.0.0.1:{self._port}/api/"

    @property
    def webhook_url(self) -> str:
        """Return the incoming webhook's address."""
        return f"http://127.0.0.1:{self._port}{WEBHOOK_PATH}"

    def fail_next(self, fault: Fault | None = None, *, times: int = 1, **fields: Any) -> None:
        """Let the next requests fail: `fail_next(status=500)`, `fail_next(error="invalid_auth", times=3)`.

        Faults are used up in order, each by the first request that it is meant for.
        """
        self._faults.extend([fault or Fault(**fields)] * times)

    def heal(self) -> None:
        """Forget the faults that are not used up."""
        self._faults.clear()

    async def wait_for(self, predicate: Callable[[Posted], object], timeout: float = 30.0) -> Posted:  # noqa: ASYNC109 - the caller's patience is the point
        """Return the first message for which the predicate holds, now or within `timeout` seconds.

        Raises AssertionError with the messages that exist.
        """

        def found() -> Posted | None:
            return next((message for message in self.messages if predicate(message)), None)

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: found() is not None), timeout)
            except TimeoutError:
                there = [message.text for message in self.messages]
                raise AssertionError(f"no such message in {timeout} s; there are {there}") from None
            return next(message for message in self.messages if predicate(message))

    async def press(
        self, message: Posted, action_id: str, *, user: str = "ann", choice: str | None = None
    ) -> None:
        """Press a button of a message, or choose from its menu, as this user.

        Returns when the app has acknowledged it. Raises AssertionError if there is no such button, nobody
        listens, or Slack's 3 s pass.
        """
        trigger = f"trigger-{len(self.requests)}-{user}"
        self._workspace.triggers.add(trigger)
        await self._sockets.press(pressed(message, action_id, user, choice) | {"trigger_id": trigger})

    async def submit(self, view: Json, values: dict[str, Json], *, user: str = "ann") -> Json | None:
        """Submit a modal as this user; values: block → what was entered, by the keys of Slack's state.

        Returns what the app answered, such as errors; None: nothing, so the modal closes.
        """
        return await self._sockets.press(view_submission(view, values, user))

    def delete(self, message: Posted) -> None:
        """Delete a message, as a person may; a later reply to it lands in the channel, as in Slack."""
        self._workspace.delete(message)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Announce the end of every Socket Mode connection, as Slack does every few hours; "": end them."""
        await self._sockets.disconnect(reason, warned=bool(reason))

    async def send(self, envelope: Json) -> None:
        """Send data over the newest Socket Mode connection."""
        await self._sockets.send(envelope)

    async def listened(self, connections: int = 1, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - the caller's patience is the point
        """Wait until this number of Socket Mode connections is open. Raises TimeoutError."""
        sockets = self._sockets
        async with sockets.changed:
            await asyncio.wait_for(
                sockets.changed.wait_for(lambda: len(sockets.open) == connections), timeout
            )

    async def asked(self, method: str, times: int = 1, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - as above
        """Wait until a method was called this many times, failed or not. Raises TimeoutError."""
        async with self._changed:
            often = self._changed.wait_for(lambda: [m for m, _ in self.requests].count(method) >= times)
            await asyncio.wait_for(often, timeout)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method, arguments = request.match_info["method"], await _arguments(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or arguments.pop("token", "")

        def act() -> Json:
            if not token:
                return no("not_authed")
            opens = method == "apps.connections.open"
            if token == (self.token if opens else self.app_token):
                return no("not_allowed_token_type")
            if token != (self.app_token if opens else self.token):
                return no("invalid_auth")
            if opens:
                return self._sockets.url(f"http://127.0.0.1:{self._port}")
            return self._workspace.act(method, arguments)

        return await self._served(request, method, arguments, act)

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        arguments = {**await _arguments(request), "channel": next(iter(self.channels)), "webhook": True}
        return await self._served(request, "webhook", arguments, lambda: self._workspace.post(arguments))

    async def _served(
        self, request: web.Request, method: str, arguments: Json, act: Callable[[], Json]
    ) -> web.StreamResponse:
        self.requests.append((method, arguments))
        fault = next((f for f in self._faults if _meant(f, method, arguments)), None)
        if fault is not None:
            self._faults.remove(fault)
        elif wait := self._workspace.wait(method, arguments):
            fault = Fault(status=429, retry_after=math.ceil(wait))
        answer = act() if fault is None or fault.accept else {}
        async with self._changed:
            self._changed.notify_all()
        if fault is None:
            return _reply(method, answer)
        if fault.hang:
            await self._closing.wait()
        if fault.drop and request.transport is not None:
            request.transport.abort()
        if fault.status != 200:
            after = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            error = "ratelimited" if fault.status == 429 else fault.error
            return web.json_response(no(error) if error else {}, status=fault.status, headers=after)
        return _reply(method, no(fault.error or "internal_error"))


def _meant(fault: Fault, method: str, arguments: Json) -> bool:
    return fault.method in {None, method} and (not fault.thread or "thread_ts" in arguments)


async def _arguments(request: web.Request) -> Json:
    """Return the arguments of a request: JSON, a form or the query."""
    arguments: Json = dict(request.query)
    if request.content_type == "application/json":
        body = await request.read()
        try:
            said = json.loads(body or b"{}")
        except ValueError:
            said = None
        return arguments | (said if isinstance(said, dict) else {})
    return arguments | dict(await request.post())


def _reply(method: str, answer: Json) -> web.Response:
    if method != "webhook":
        return web.json_response(answer)
    # A webhook says `ok`, or Slack's name for the error, as plain text.
    error = answer.get("error", "")
    status = {"": 200, "channel_not_found": 404, "no_service": 404, "invalid_token": 403}.get(error, 400)
    return web.Response(text=error or "ok", status=status)
