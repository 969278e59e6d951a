"""Real parts for tests: one Kafka and one InfluxDB for the whole session, started when first asked for."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from llmvitals.errors import Unavailable
from llmvitals.local.kafka import LocalKafka

if TYPE_CHECKING:
    from collections.abc import Iterator


def unavailable(error: Unavailable) -> None:
    """Skip with the reason; with CI=true fail instead, so that nobody thinks it was tested."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"CI=true allows no skip: {error}", pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def _kafka() -> Iterator[LocalKafka | Unavailable]:
    broker = LocalKafka(progress=print)
    try:
        broker.start()
    except Unavailable as error:
        yield error
        return
    yield broker
    broker.stop()


@pytest.fixture
def kafka(_kafka: LocalKafka | Unavailable) -> str:
    """The bootstrap address of the session's broker."""
    if isinstance(_kafka, Unavailable):
        unavailable(_kafka)
    assert isinstance(_kafka, LocalKafka)
    return _kafka.address


@pytest.fixture
def kafka_server() -> Iterator[LocalKafka]:
    """A broker of this test's own, to be killed, paused and restarted."""
    broker = LocalKafka(progress=print)
    try:
        broker.start()
    except Unavailable as error:
        unavailable(error)
    yield broker
    broker.stop()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses, for settings.topic_prefix and settings.group."""
    return f"t{uuid.uuid4().hex[:10]}"
