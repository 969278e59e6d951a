"""Real parts for tests: one Kafka and one InfluxDB for the whole session, started when first asked for."""

from __future__ import annotations

import gc
import logging
import os
import re
import uuid
from itertools import islice
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from commands import Deaf
from llmvitals import topics
from llmvitals.errors import Unavailable
from llmvitals.local.influx import InfluxBucket, LocalInflux
from llmvitals.local.kafka import LocalKafka
from llmvitals.runtime import logs
from llmvitals.topics.declared import shipped
from real_parts import have, started
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from llmvitals.settings import Settings


gc.set_threshold(100_000, 20, 20)  # as in the commands: see entry.py
# A busy machine is no reason to fail.
settings.register_profile(
    "any machine", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
# A broker of tests lives for minutes and has little to do: compiling its code well costs more than it brings.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

SLOWEST = (
    "kafka/test_exact", "docs/test_litellm_hook", "kafka/test_week", "docs/test_wheel", "kafka/test_bad_input",
    "kafka/test_detection", "kafka/test_transport", "kafka/test_recreated", "kafka/test_crash_log", "kafka/test_reload",
    "kafka/test_growth", "benchmarks/test_detection", "merge/test_machine", "kafka/", "rules/kinds/test_detectors",
    "incidents/test_machine", "local/", "integrations/", "score/", "runtime/test_stop", "publisher/",
)  # fmt: skip
"""Files and folders of tests that take longest, the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Time limits are those of an idle machine; long files come first, so that at the end no process works alone.

    pytest-xdist gives each process a part of the list to begin with, so the long files are dealt to all parts.
    """
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = marker.args[0] if marker else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(deadline(seconds)), append=False)
    items[:] = dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def dealt(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in as many parts of equal length as there are processes, each with its share of the long files."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    ranked = sorted(files, key=rank)
    long = [file for file in ranked if rank(file) < len(SLOWEST)]
    short = iter([item for file in ranked[len(long) :] for item in files[file]])
    parts: list[pytest.Item] = []
    for number in range(processes):
        parts += [item for file in long[number::processes] for item in files[file]]
        parts += islice(short, max(0, len(items) * (number + 1) // processes - len(parts)))
    return [*parts, *short]


def rank(file: str) -> int:
    """The place of a file among the slowest; the number of those if it is none of them."""
    places = (place for place, name in enumerate(SLOWEST) if file.startswith(f"tests/{name}"))
    return next(places, len(SLOWEST))


def pytest_runtest_teardown() -> None:
    """A command that ran in this process has set up logging for all of it: the next test begins afresh."""
    structlog.reset_defaults()
    for name in logs.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)


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
def influx(_influx: LocalInflux | Unavailable, topic_prefix: str) -> InfluxBucket:
    """A fresh database of the session's InfluxDB: url, token, org and bucket."""
    return have(_influx).bucket(topic_prefix)


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses, for settings.topic_prefix and settings.group."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    """A port where connections are taken, and nothing is ever said."""
    with Deaf() as listener:
        yield listener


@pytest.fixture
def create_topics(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Awaitable[Settings]]:
    """Create a test's topics as `llmvitals topics apply` does.

    `settings = await create_topics(settings, calls=2, partials=1)`: partitions other than the declared ones.
    """

    async def create(settings: Settings, **partitions: int) -> Settings:
        folder = tmp_path_factory.mktemp("topics")
        for file in shipped().glob("*.yaml"):
            what = file.stem.split("-", 1)[1].replace("-", "_")
            number = partitions.pop(what, None)
            text = file.read_text()
            if number is not None:
                text = re.sub(r"(?m)^  partitions: \d+$", f"  partitions: {number}", text)
            (folder / file.name).write_text(text)
        assert not partitions, f"no such topic: {partitions}"
        await topics.apply(settings, folder)
        return settings

    return create
