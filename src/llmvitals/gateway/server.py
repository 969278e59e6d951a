"""The HTTP server of the gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from llmvitals.errors import BadCall, ConfigError
from llmvitals.gateway.access import authorize, secured, token_of
from llmvitals.gateway.answer import Refusal, accepted, asked, refused
from llmvitals.gateway.body import body_of
from llmvitals.gateway.delivery import PATIENCE, Delivery
from llmvitals.gateway.meters import GatewayMeters
from llmvitals.gateway.records import Contents, Form, Reader, Received, form_of, has_litellm

if TYPE_CHECKING:
    from llmvitals.settings import Settings

log: Final = logging.getLogger(__name__)

_METHODS: Final = ("POST", "PATCH", "PUT")
_HELP: Final = (
    "there is nothing at this path: send OTLP to /v1/traces or /v1/logs, LiteLLM's payloads to /litellm, "
    "calls to /v1/calls, or what a vendor's client sends to that vendor's own path"
)


class Gateway:
    """Takes events by HTTP and answers 200 when Kafka has them; an async context manager.

        async with Gateway(settings, delivery) as gateway:
            gateway.ready(None)

    It listens on `settings.gateway_host` and `port`. Before it is ready it answers 503. Entering raises
    ConfigError if the address can't be used, or is open to everybody.
    """

    def __init__(self, settings: Settings, delivery: Delivery) -> None:
        self._settings, self._delivery = settings, delivery
        self._token, self._tls = token_of(settings), secured(settings)
        self._reader, self._meters = Reader(settings), GatewayMeters(lambda: delivery.waiting)
        self._reason: str | None = "it is starting"
        self.port = settings.gateway_port

    @property
    def url(self) -> str:
        """Its address on this machine's network."""
        host = self._settings.gateway_host
        shown = f"[{host}]" if ":" in host else host
        return f"{'http' if self._tls is None else 'https'}://{shown}:{self.port}"

    def ready(self, reason: str | None) -> None:
        """Report that Kafka can be sent to (None), or why not."""
        self._reason = reason

    async def __aenter__(self) -> Self:
        app = web.Application()
        for path, page in (
            ("/healthz", self._healthz),
            ("/readyz", self._readyz),
            ("/metrics", self._metrics),
        ):
            app.router.add_get(path, page)
        app.router.add_route("*", "/{path:.*}", self._receive)
        # Compressed bodies are unpacked here, within the limit.
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=PATIENCE + 1.0
        )
        await self._runner.setup()
        host, port = self._settings.gateway_host, self._settings.gateway_port
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                f"the gateway can't listen on {host}:{port} ({error}): set LLMVITALS_GATEWAY_HOST to an "
                "address of this machine and LLMVITALS_GATEWAY_PORT to a free port"
            ) from error
        self.port = self._runner.addresses[0][1]
        log.info("the gateway listens on %s", self.url)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        form = form_of(request.path)
        try:
            authorize(request.headers, self._token)
            if request.method == "GET" and (told := asked(request.path)) is not None:
                return told
            answer = accepted(await self._taken(request, form), form, request.content_type)
        except BadCall as error:
            answer = refused(Refusal(400, error.message), form, request.content_type)
        except Refusal as error:
            answer = refused(error, form, request.content_type)
        self._meters.answered(form, answer.status, time.monotonic() - began)
        return answer

    async def _taken(self, request: web.Request, form: Form) -> Contents:
        """What Kafka now has of the request. Raises Refusal or BadCall."""
        if request.method not in _METHODS:
            raise Refusal(404 if form is Form.UNKNOWN else 405, f"{request.method}: events are sent by POST")
        if self._reason is not None:
            raise Refusal(503, f"The gateway is not ready: {self._reason}", 5)
        body = await body_of(request, form, self._settings.gateway_max_bytes)
        if form is Form.UNKNOWN and not has_litellm(body):
            raise Refusal(404, f"{request.method}: {_HELP}")
        typed = request.headers.get("Content-Type", "")
        received = Received(request.method, request.path, body, time.time_ns() // 1_000, typed)
        # Reading a large body takes a while, in which others are served.
        contents = await asyncio.to_thread(self._reader.read, form, received)
        await self._delivery.deliver(contents.records)
        self._meters.received(contents)
        return contents

    async def _healthz(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        del request
        reason = self._reason or ("Kafka takes no records" if self._delivery.is_down else None)
        body = {"ready": reason is None, "reasons": [reason] if reason else []}
        return web.json_response(body, status=503 if reason else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        text = generate_latest(self._meters.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
