"""A Slack of one's own, to test what llmvitals (or anything else) would say there.

    async with FakeSlack(channels=["#alerts"]) as slack:
        settings = Settings(slack_token=slack.token, slack_channel="#alerts", slack_api_url=slack.url)
        ...
        message = await slack.wait_for(lambda message: "TeamMonthlyBudget" in message.text)

It listens on 127.0.0.1, answers as Slack does (mostly HTTP 200 with `ok: false` and Slack's own error
names), refuses what Slack would refuse, and fails on demand.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

from llmvitals.notify.limits import problems

Json = dict[str, Any]

WEBHOOK_PATH: Final = "/services/T00000000/B00000000/fake-webhook-secret"
_TEXT_LIMIT: Final = 40_000


@dataclass(slots=True, kw_only=True)
class Posted:
    """A message that people see.

    channel: its id; `channel_name` as it was given to FakeSlack. ts: Slack's name of the message, unique.
    edits: earlier (text, blocks), oldest first. webhook: whether it came by the webhook.
    """

    channel: str
    channel_name: str
    ts: str
    text: str
    blocks: list[Json]
    metadata: Json | None = None
    thread_ts: str | None = None
    edits: list[tuple[str, list[Json]]] = field(default_factory=list)
    webhook: bool = False

    @property
    def shown(self) -> str:
        """All texts of the message, as one JSON text to look for words in."""
        return json.dumps([self.text, self.blocks], ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How a request fails.

    method: which one (`chat.postMessage`, …, `webhook`), any when None. error: Slack's name for it, with
    HTTP 200. status: an HTTP status instead. retry_after: seconds, for 429. accept: do it nevertheless.
    hang: never answer. drop: close the connection without an answer.
    """

    method: str | None = None
    error: str = ""
    status: int = 200
    retry_after: float | None = None
    accept: bool = False
    hang: bool = False
    drop: bool = False


class FakeSlack:
    """chat.postMessage, chat.update, auth.test, conversations.history and one incoming webhook.

    channels: names of the channels that there are and that the app is in; the webhook posts to the first.
    scopes: what the token may do. port: 0 is any free one.

    url: for `slack_api_url`. webhook_url, token: the secrets. messages: what people see, oldest first.
    requests: (method, arguments) of everything that was asked, failed or not.
    """

    token: Final = "xoxb-fake-token"  # noqa: S105 - a fake's

    def __init__(
        self,
        channels: Sequence[str] = ("#alerts",),
        *,
        scopes: Sequence[str] = ("chat:write", "channels:history"),
        port: int = 0,
    ) -> None:
        self.channels = {name: f"C{number:08d}" for number, name in enumerate(channels, 1)}
        self.scopes = set(scopes)
        self.messages: list[Posted] = []
        self.requests: list[tuple[str, Json]] = []
        self._port = port
        self._faults: deque[Fault] = deque()
        self._ts = itertools.count(1)
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._methods: dict[str, Callable[[Json], Json]] = {
            "auth.test": lambda _: {"ok": True, "team": "Fake", "user": "llmvitals", "bot_id": "B00000000"},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
        }

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post(WEBHOOK_PATH, self._webhook)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The Web API's address."""
        return f"http://127.0.0.1:{self._port}/api/"

    @property
    def webhook_url(self) -> str:
        """The incoming webhook's address."""
        return f"http://127.0.0.1:{self._port}{WEBHOOK_PATH}"

    def fail_next(self, fault: Fault | None = None, *, times: int = 1, **fields: Any) -> None:
        """Let the next requests fail: `fail_next(status=500)`, `fail_next(error="invalid_auth", times=3)`.

        Faults are used up in order, each by the first request that it is meant for.
        """
        self._faults.extend([fault or Fault(**fields)] * times)

    def heal(self) -> None:
        """Forget the faults that are not used up."""
        self._faults.clear()

    async def wait_for(self, predicate: Callable[[Posted], object], timeout: float = 5.0) -> Posted:  # noqa: ASYNC109 - the caller's patience is the point
        """The first message for which the predicate holds, now or within `timeout` seconds.

        Raises AssertionError that shows what there is instead.
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

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method, arguments = request.match_info["method"], await _arguments(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or arguments.pop("token", "")

        def act() -> Json:
            if not token:
                return _no("not_authed")
            if token != self.token:
                return _no("invalid_auth")
            if method not in self._methods:
                return _no("unknown_method")
            return self._methods[method](arguments)

        return await self._served(request, method, arguments, act)

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        arguments = await _arguments(request)

        def act() -> Json:
            return self._post({**arguments, "channel": next(iter(self.channels)), "webhook": True})

        return await self._served(request, "webhook", arguments, act)

    async def _served(
        self, request: web.Request, method: str, arguments: Json, act: Callable[[], Json]
    ) -> web.StreamResponse:
        self.requests.append((method, arguments))
        fault = next((f for f in self._faults if f.method in {None, method}), None)
        if fault is not None:
            self._faults.remove(fault)
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
            return web.json_response(_no(error) if error else {}, status=fault.status, headers=after)
        return _reply(method, _no(fault.error or "internal_error"))

    def _post(self, arguments: Json) -> Json:
        name = self._named(str(arguments.get("channel", "")))
        if name is None:
            return _no("channel_not_found")
        problem = _refused(arguments)
        if problem:
            return problem
        ts = f"{int(time.time())}.{next(self._ts):06d}"
        message = Posted(
            channel=self.channels[name],
            channel_name=name,
            ts=ts,
            text=arguments.get("text", ""),
            blocks=arguments.get("blocks") or [],
            # Slack drops the metadata of what comes by a webhook.
            metadata=None if arguments.get("webhook") else arguments.get("metadata"),
            thread_ts=arguments.get("thread_ts"),
            webhook=bool(arguments.get("webhook")),
        )
        self.messages.append(message)
        return {"ok": True, "channel": message.channel, "ts": ts, "message": {"text": message.text}}

    def _update(self, arguments: Json) -> Json:
        if arguments.get("channel") not in self.channels.values():  # here Slack takes no name
            return _no("channel_not_found")
        place = (arguments["channel"], arguments.get("ts"))
        message = next((m for m in self.messages if (m.channel, m.ts) == place), None)
        if message is None:
            return _no("message_not_found")
        problem = _refused(arguments)
        if problem:
            return problem
        message.edits.append((message.text, message.blocks))
        message.text, message.blocks = arguments.get("text", ""), arguments.get("blocks") or []
        message.metadata = arguments.get("metadata", message.metadata)
        return {"ok": True, "channel": message.channel, "ts": message.ts, "text": message.text}

    def _history(self, arguments: Json) -> Json:
        if "channels:history" not in self.scopes:
            return {**_no("missing_scope"), "needed": "channels:history", "provided": ",".join(self.scopes)}
        if arguments.get("channel") not in self.channels.values():
            return _no("channel_not_found")
        oldest, limit = float(arguments.get("oldest") or 0), int(arguments.get("limit") or 100)
        told = str(arguments.get("include_all_metadata", "")).lower() in {"1", "true"}
        there = [
            {"type": "message", "ts": m.ts, "text": m.text, "blocks": m.blocks}
            | ({"metadata": m.metadata} if told and m.metadata else {})
            for m in reversed(self.messages)
            if m.channel == arguments["channel"] and float(m.ts) > oldest
        ]
        return {"ok": True, "messages": there[:limit], "has_more": len(there) > limit}

    def _named(self, channel: str) -> str | None:
        by_id = {identity: name for name, identity in self.channels.items()}
        return next((name for name in (channel, f"#{channel}") if name in self.channels), by_id.get(channel))


def _no(error: str) -> Json:
    return {"ok": False, "error": error}


def _refused(arguments: Json) -> Json | None:
    """Slack's objection to a message's content."""
    blocks = arguments.get("blocks") or []
    reasons = problems(blocks)
    if reasons:
        return {**_no("invalid_blocks"), "response_metadata": {"messages": reasons}}
    text = arguments.get("text", "")
    if not blocks and not text:
        return _no("no_text")
    return _no("msg_too_long") if len(text) > _TEXT_LIMIT else None


async def _arguments(request: web.Request) -> Json:
    """JSON, a form or the query, whichever way the client sends them."""
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
