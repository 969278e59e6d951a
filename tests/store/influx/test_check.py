"""What the doctor is told of InfluxDB."""

from __future__ import annotations

from typing import Any

import pytest

from fake_influx import FakeInflux
from llmvitals.errors import SinkError
from llmvitals.settings import Settings
from llmvitals.store.influx.store import InfluxStore


def real(influx: Any, **more: Any) -> Settings:
    there = {"influx_token": influx.token, "influx_org": influx.org, "influx_bucket": influx.bucket}
    return Settings(influx_url=influx.url, **there | more)


@pytest.mark.influx
async def test_a_server_that_can_be_read_and_written_is_fine(influx: Any) -> None:
    check = await InfluxStore(real(influx)).check()
    assert (check.state, check.cure) == ("fine", "")
    assert check.found == f"InfluxDB at {influx.url} answers; it has 0 minutes of the last 10 minutes"


@pytest.mark.influx
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"influx_token": "llmvitals:wr0ng"}, "LLMVITALS_INFLUX_TOKEN"),
        ({"influx_bucket": "no/thing"}, "no database|LLMVITALS_INFLUX_BUCKET"),
    ],
)
async def test_a_wrong_setting_is_named(influx: Any, wrong: dict[str, str], why: str) -> None:
    with pytest.raises(SinkError, match=why):
        await InfluxStore(real(influx, **wrong)).check()


@pytest.mark.parametrize(("status", "why"), [(403, "let it read and write the bucket"), (503, "not ready")])
async def test_a_server_that_can_only_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, status: int, why: str
) -> None:
    fake = FakeInflux()
    await fake.start()
    given: dict[str, Any] = {"influx_token": "secret-token", "influx_bucket": "db/rp"}
    store = InfluxStore(Settings(influx_url=fake.url, **given))

    async def nothing(*_: object) -> list[object]:
        return []

    monkeypatch.setattr("llmvitals.store.influx.flux.samples", nothing)
    try:
        fake.answers.append(status)
        with pytest.raises(SinkError, match=why):
            await store.check()
        fake.answers.append(400)  # an InfluxDB 2 does not take a write without lines
        assert (await store.check()).state == "fine"
        assert fake.stored == {}
        assert fake.requests == [[], []]
    finally:
        await fake.stop()
