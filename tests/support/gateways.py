"""A gateway without Kafka: what it delivers is kept, or refused as a test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from llmvitals.gateway.answer import Refusal
from llmvitals.gateway.delivery import Delivery
from llmvitals.gateway.records import Record
from llmvitals.gateway.server import Gateway
from llmvitals.publisher.queue import EventQueue
from llmvitals.settings import Settings


class Answer(NamedTuple):
    """An answer of the gateway."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Kept(Delivery):
    """Stands in for Kafka: keeps records, or raises `refusal`."""

    def __init__(self) -> None:
        super().__init__(EventQueue(1))
        self.records: list[Record] = []
        self.refusal: Refusal | None = None
        self.refused = 0
        self.silent = False

    @property
    def is_down(self) -> bool:
        return self.silent

    async def deliver(self, records: Sequence[Record]) -> None:
        if self.refusal is not None:
            self.refused += 1
            raise self.refusal
        self.records += records


class Client:
    """A gateway that listens, its deliveries, and a client."""

    def __init__(self, gateway: Gateway, kept: Kept, session: aiohttp.ClientSession) -> None:
        self.gateway, self.kept, self._session = gateway, kept, session

    @property
    def values(self) -> list[bytes]:
        """What lies on the topic."""
        return [record.value for record in self.kept.records]

    async def post(
        self, path: str, body: Any, content_type: str | None = "application/json", **headers: str
    ) -> Answer:
        """POST a body: bytes as they are, anything else as JSON. Underscores in names of headers are hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        skip = ["Content-Type"] if content_type is None else []
        typed = {} if content_type is None else {"Content-Type": content_type}
        url = f"{self.gateway.url}{path}"
        async with self._session.post(url, data=data, headers=typed | sent, skip_auto_headers=skip) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def get(self, path: str) -> Answer:
        async with self._session.get(f"{self.gateway.url}{path}") as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())


@asynccontextmanager
async def listening(**settings: Any) -> AsyncIterator[Client]:
    """A gateway with these settings on a free port, ready."""
    kept = Kept()
    made = Gateway(Settings(gateway_port=0, **settings), kept)
    async with made, aiohttp.ClientSession() as session:
        made.ready(None)
        yield Client(made, kept, session)
