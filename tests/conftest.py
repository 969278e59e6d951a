"""Real parts for tests: one Kafka and one InfluxDB for the whole session, started when first asked for."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, NoReturn, TypeVar

import pytest

from llmvitals.errors import Unavailable
from llmvitals.local.influx import Bucket, LocalInflux
from llmvitals.local.kafka import LocalKafka
from llmvitals.local.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator


def unavailable(error: Unavailable) -> NoReturn:
    """Skip with the reason; with CI=true fail instead, so that nobody thinks it was tested."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"CI=true allows no skip: {error}", pytrace=False)
    pytest.skip(str(error))


S = TypeVar("S", bound=Service)


def started(service: S) -> Iterator[S | Unavailable]:
    """The service while the session lasts, or why it can't be had: so it is tried once only."""
    try:
        service.start()
    except Unavailable as error:
        yield error
        return
    yield service
    service.stop()


def have(service: S | Unavailable) -> S:
    """The service, or the test ends here."""
    if isinstance(service, Unavailable):
        unavailable(service)
    return service


@pytest.fixture(scope="session")
def _kafka() -> Iterator[LocalKafka | Unavailable]:
    yield from started(LocalKafka(progress=print))


@pytest.fixture(scope="session")
def _influx() -> Iterator[LocalInflux | Unavailable]:
    yield from started(LocalInflux(progress=print))


@pytest.fixture
def kafka(_kafka: LocalKafka | Unavailable) -> str:
    """The bootstrap address of the session's broker."""
    return have(_kafka).address


@pytest.fixture
def kafka_server() -> Iterator[LocalKafka]:
    """A broker of this test's own, to be killed, paused and restarted."""
    for broker in started(LocalKafka(progress=print)):
        yield have(broker)


@pytest.fixture
def influx(_influx: LocalInflux | Unavailable, topic_prefix: str) -> Bucket:
    """A fresh database of the session's InfluxDB: url, token, org and bucket."""
    return have(_influx).bucket(topic_prefix)


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses, for settings.topic_prefix and settings.group."""
    return f"t{uuid.uuid4().hex[:10]}"
