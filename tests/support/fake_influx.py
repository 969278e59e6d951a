"""An InfluxDB that answers as its documentation says, over real HTTP, and keeps what it was given."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from aiohttp import web


class FakeInflux:
    """Lines that hold BAD are refused. `answers` are given first, one per request:

    a status, (status, headers), "drop" (the connection breaks before the lines are stored), "accept-drop"
    (after), "hang" (no answer at all). partial: of a bad batch the good lines are stored, as 1.8 does.
    """

    def __init__(self, *, partial: bool = False, most_lines: int = 10**9) -> None:
        self.partial, self.most_lines = partial, most_lines
        self.answers: deque[Any] = deque()
        self.requests: list[list[str]] = []
        self.stored: dict[tuple[str, str], str] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.hanging = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        app = web.Application(client_max_size=100 * 2**20)
        app.router.add_get("/login", self._login)
        app.router.add_post("/api/v2/write", self._write)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        assert site._server is not None
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _login(self, request: web.Request) -> web.Response:
        return web.Response(status=200, text="who are you?")

    async def _write(self, request: web.Request) -> web.Response:
        lines = (await request.text()).splitlines()
        self.requests.append(lines)
        assert request.query["bucket"] == "db/rp"
        assert request.query["precision"] == "ns"
        assert request.headers["Authorization"] == "Token secret-token"
        answer = self.answers.popleft() if self.answers else None
        if answer == "hang":
            self.hanging.set()
            await asyncio.Event().wait()
        if answer == "accept-drop":
            self._store(lines)
        if answer in ("drop", "accept-drop"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if answer is not None:
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            return web.json_response(
                {"code": "x", "message": f"scripted '{''.join(lines[:1])}'"}, status=status, headers=headers
            )
        return self._judge(lines)

    def _judge(self, lines: list[str]) -> web.Response:
        if len(lines) > self.most_lines:
            return web.Response(status=413, text="<html>Request Entity Too Large</html>")
        bad = [line for line in lines if "BAD" in line]
        if not bad or self.partial:
            self._store(line for line in lines if line not in bad)
        if not bad:
            return web.Response(status=204)
        tail = f" dropped={len(bad)}" if self.partial else ""
        return web.json_response(
            {"code": "invalid", "message": f"unable to parse '{bad[0]}': no{tail}"}, status=400
        )

    def _store(self, lines: Any) -> None:
        for line in lines:
            head, fields, time = line.rsplit(" ", 2)
            self.stored[head, time] = fields
