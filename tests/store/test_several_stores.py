"""Two stores at once: a batch is done when both have it, and neither has to take it twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cluster import rows
from fake_influx import FakeInflux
from llmvitals.errors import SinkError
from llmvitals.settings import Settings
from llmvitals.store.registry import SeveralStores, store_sink
from store_points import point, records


@pytest.fixture
async def fake() -> AsyncIterator[FakeInflux]:
    server = FakeInflux()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def settings(fake: FakeInflux, tmp_path: Path) -> Settings:
    there: dict[str, Any] = {"influx_token": "secret-token", "influx_bucket": "db/rp"}
    return Settings(influx_url=fake.url, sqlite=tmp_path / "vitals.sqlite", **there)


@pytest.fixture
async def both(settings: Settings) -> AsyncIterator[SeveralStores]:
    made = store_sink(settings)
    assert made is not None
    await made.start()
    yield made
    await made.stop()


def in_sqlite(settings: Settings) -> int:
    assert settings.sqlite is not None
    return len(rows(settings.sqlite, "SELECT * FROM llm_calls"))


async def test_while_one_is_down_the_other_has_the_batch_and_does_not_take_it_again(
    fake: FakeInflux, settings: Settings, both: SeveralStores
) -> None:
    await fake.stop()
    batch = records([b"no point", point(team="a"), point(team="b")])
    for _ in range(3):
        with pytest.raises(SinkError, match=r"InfluxDB .* can't be reached") as down:
            await both.take(0, batch)
        assert down.value.retry
    assert in_sqlite(settings) == 2
    assert [one.counts.undecodable for one in both.stores] == [1, 1]  # type: ignore[attr-defined]
    await fake.start()
    await both.take(0, batch)
    await both.take(0, records([point(team="c")]))
    assert (len(fake.stored), in_sqlite(settings)) == (3, 3)


async def test_another_batch_goes_to_both_again(
    fake: FakeInflux, settings: Settings, both: SeveralStores
) -> None:
    fake.answers.append(503)
    with pytest.raises(SinkError):
        await both.take(0, records([point(team="a")]))
    await both.take(0, records([point(team="b")]))
    assert (len(fake.stored), in_sqlite(settings)) == (1, 2)


async def test_when_both_are_down_both_are_named_and_the_longer_wait_counts(
    fake: FakeInflux, settings: Settings, both: SeveralStores
) -> None:
    assert settings.sqlite is not None
    settings.sqlite.mkdir()
    fake.answers.append((503, {"Retry-After": "7"}))
    batch = records([point()])
    with pytest.raises(
        SinkError, match=r"InfluxDB .* is not ready .*; SQLite file .* can't be opened"
    ) as down:
        await both.take(0, batch)
    assert (down.value.retry, down.value.retry_after) == (True, 7.0)
    settings.sqlite.rmdir()
    await both.take(0, batch)
    assert (len(fake.stored), in_sqlite(settings)) == (1, 1)
