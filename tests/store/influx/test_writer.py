"""InfluxDB: what each of its answers leads to, through outages, and against the real one."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from fake_influx import FakeInflux
from llmvitals.errors import ConfigError, SinkError
from llmvitals.record.point import Point
from llmvitals.runtime.kafka.sink_runner import patience
from llmvitals.settings import Settings
from llmvitals.store.influx.lines import line
from llmvitals.store.influx.store import LINES, InfluxStore
from llmvitals.store.points import PlacedPoint
from llmvitals.store.series import tag, text
from store_points import INJECTIONS, START, point, records
from waiting import deadline

TOKEN = "secret-token"  # noqa: S105 - of the fake


def settings(url: str, **more: Any) -> Settings:
    return Settings(**{"influx_url": url, "influx_token": TOKEN, "influx_bucket": "db/rp"} | more)


@dataclass
class Tally:
    """Meters that are looked at."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        self.counts[name, labels["code"]] += value


async def insist(writer: InfluxStore, batch: Sequence[Any]) -> list[SinkError]:
    """Take it until it is taken, as `Pour` does; what was raised on the way."""
    errors: list[SinkError] = []
    while True:
        try:
            assert await writer.take(0, batch) == []
        except SinkError as error:
            errors.append(error)
        else:
            assert all(error.retry for error in errors)
            return errors


def waits(errors: Sequence[SinkError]) -> list[float]:
    """How long `Pour` waits after each, at first, if chance has it so."""
    return [patience(0.5, error.retry_after, lambda: 0.0) for error in errors]


@pytest.fixture
async def fake() -> AsyncIterator[FakeInflux]:
    server = FakeInflux()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
async def writer(fake: FakeInflux, tally: Tally) -> AsyncIterator[InfluxStore]:
    made = InfluxStore(settings(fake.url), meters=tally)
    await made.start()
    yield made
    await made.stop()


def calls(fake: FakeInflux) -> dict[str, str]:
    """Team → its fields, as stored."""
    return {head.split("team=")[1].split(",")[0]: fields for (head, _), fields in fake.stored.items()}


def of(count: int, *bad: int) -> list[Point]:
    return [point(team=f"t{n}BAD" if n in bad else f"t{n}") for n in range(count)]


async def test_a_batch_is_one_request_and_writing_it_again_changes_nothing(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    for _ in range(2):
        assert await writer.take(0, records(of(3))) == []
    assert [len(request) for request in fake.requests] == [3, 3]
    assert calls(fake).keys() == {"t0", "t1", "t2"}
    assert fake.requests[0][0] == (
        "llm_calls,team=t0,view=team,window=1h "
        f"calls=4i,errors=1i,input_tokens=100i,output_tokens=20i,cost_usd=0.25 {START}000"
    )


async def test_only_the_newest_state_of_a_place_is_written(fake: FakeInflux, writer: InfluxStore) -> None:
    states = [point(counts={"calls": n}, measures={}, upto=n) for n in (1, 3, 2)]
    await writer.take(0, records(states))
    assert calls(fake) == {"search": "calls=3i"}
    assert (len(fake.requests[0]), writer.counts.superseded) == (1, 2)


async def test_a_late_copy_of_an_older_state_does_not_overwrite(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    """A worker that was thought dead sends what it had, after its heir has sent more."""
    await writer.take(0, records([point(counts={"calls": 9}, measures={}, upto=9)]))
    await writer.take(0, records([point(counts={"calls": 5}, measures={}, upto=5)]))
    assert calls(fake) == {"search": "calls=9i"}


async def test_of_two_states_at_the_same_pane_the_later_one_wins(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    for n in (1, 2):
        await writer.take(0, records([point(counts={"calls": n}, measures={}, upto=7)]))
    assert calls(fake) == {"search": "calls=2i"}


async def test_a_request_holds_at_most_5000_lines(fake: FakeInflux, writer: InfluxStore) -> None:
    await writer.take(0, records(of(LINES + 1)))
    assert [len(request) for request in fake.requests] == [5_000, 1]


@pytest.mark.parametrize("partial", [False, True])
async def test_one_bad_line_of_1000_is_found_by_halves_and_the_rest_is_written(
    fake: FakeInflux, writer: InfluxStore, partial: bool
) -> None:
    fake.partial = partial
    with capture_logs() as logs:
        await writer.take(0, records(of(1_000, 613)))
    assert calls(fake).keys() == {f"t{n}" for n in range(1_000) if n != 613}
    assert len(fake.requests) <= 1 + 2 * 10
    assert (writer.counts.written, writer.counts.set_aside) == (999, 1)
    (entry,) = logs
    assert entry["first"] == "llm_calls(team, view, window)"
    assert entry["reason"].startswith("unable to parse '…'")
    assert "t613" not in str(entry)


async def test_where_every_line_is_bad_one_answer_that_says_so_is_enough(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    """1.8 on points beyond its retention: `dropped=` tells how many."""
    fake.partial = True
    await writer.take(0, records(of(1_000, *range(1_000))))
    assert len(fake.requests) == 1
    assert writer.counts.set_aside == 1_000


async def test_a_422_is_counted_and_not_tried_again(fake: FakeInflux, writer: InfluxStore) -> None:
    fake.answers.append(422)
    await writer.take(0, records(of(4)))
    assert len(fake.requests) == 1
    assert writer.counts.set_aside == 4


async def test_what_is_too_large_is_split_until_it_fits(fake: FakeInflux, writer: InfluxStore) -> None:
    fake.most_lines = 3
    await writer.take(0, records(of(10)))
    assert len(fake.stored) == 10
    fake.most_lines = 0
    await writer.take(0, records(of(2)))
    assert writer.counts.set_aside == 2


@pytest.mark.parametrize(
    ("status", "cure"),
    [
        (401, "LLMVITALS_INFLUX_TOKEN"),
        (403, "read and write"),
        (404, "LLMVITALS_INFLUX_BUCKET"),
        ((302, {"Location": "/login"}), "own address"),
    ],
)
async def test_a_wrong_configuration_keeps_the_data_and_says_what_to_fix(
    fake: FakeInflux, writer: InfluxStore, status: Any, cure: str
) -> None:
    fake.answers += [status] * 3
    with capture_logs() as logs:
        errors = await insist(writer, records(of(2)))
    assert waits(errors) == [30.0] * 3
    assert all(cure in str(error) for error in errors)
    assert len(fake.stored) == 2
    assert TOKEN not in str(logs) + str(errors)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ((429, {"Retry-After": "7"}), 7.0),
        ((503, {"Retry-After": "99999999"}), 120.0),
        ((503, {"Retry-After": "-5"}), 0.5),
        ((503, {"Retry-After": "soon"}), 0.5),
        ((503, {"Retry-After": "nan"}), 0.5),
        (429, 0.5),
        (500, 0.5),
        (502, 0.5),
        (504, 0.5),
    ],
)
async def test_a_busy_server_is_asked_again_no_earlier_than_it_says(
    fake: FakeInflux, writer: InfluxStore, answer: Any, wait: float
) -> None:
    fake.answers.append(answer)
    assert waits(await insist(writer, records(of(2)))) == [wait]
    assert len(fake.stored) == 2


@pytest.mark.parametrize("broken", ["drop", "accept-drop"])
async def test_a_connection_that_breaks_before_or_after_the_write(
    fake: FakeInflux, writer: InfluxStore, broken: str
) -> None:
    fake.answers.append(broken)
    assert len(await insist(writer, records(of(3)))) == 1
    assert [len(request) for request in fake.requests] == [3, 3]
    assert len(fake.stored) == 3
    assert (writer.counts.written, writer.counts.errors) == (3, 1)


async def test_no_answer_in_time_is_tried_again(fake: FakeInflux) -> None:
    writer = InfluxStore(settings(fake.url, influx_timeout="50ms"))
    await writer.start()
    fake.answers += ["hang", "hang"]
    errors = await insist(writer, records(of(3)))
    await writer.stop()
    assert len(fake.stored) == 3
    assert ["did not answer in time" in str(error) for error in errors] == [True, True]


async def test_down_then_up(fake: FakeInflux, writer: InfluxStore) -> None:
    await fake.stop()
    batch = records(of(3))
    for _ in range(2):
        with pytest.raises(SinkError, match="can't be reached") as down:
            await writer.take(0, batch)
        assert down.value.retry
    await fake.start()
    await writer.take(0, batch)
    assert len(fake.stored) == 3


async def test_after_an_outage_a_batch_goes_on_where_it_stopped(
    fake: FakeInflux, writer: InfluxStore, tally: Tally
) -> None:
    """What was written is not written again, and the bad line is not looked for, told or counted twice."""
    batch = records([b"no point", *of(1_000, 613)])
    fake.answers += [None, None, None, 503, None, None, None, None, None, None, 503, None]
    with capture_logs() as logs:
        assert len(await insist(writer, batch)) == 2
    assert calls(fake).keys() == {f"t{n}" for n in range(1_000) if n != 613}
    assert len(fake.requests) <= 1 + 2 * 10 + 2
    assert (writer.counts.written, writer.counts.set_aside, writer.counts.undecodable) == (999, 1, 1)
    assert len(logs) == 2
    refused = tally.counts.pop(("store_errors", "400"))
    assert 1 < refused <= 11
    assert tally.counts == {
        ("store_errors", "503"): 2,
        ("points_set_aside", "400"): 1,
        ("points_set_aside", "undecodable"): 1,
    }


async def test_a_batch_that_is_left_in_an_outage_does_not_come_back(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    """Its partition went to somebody else, and came back when more had been written."""
    await fake.stop()
    old = records([point(team="old"), point(counts={"calls": 1}, measures={}, upto=1)])
    with pytest.raises(SinkError):
        await writer.take(0, old)
    await fake.start()
    await writer.take(0, records([point(counts={"calls": 2}, measures={}, upto=2)]))
    assert calls(fake) == {"search": "calls=2i"}
    await writer.take(0, old)
    assert calls(fake).keys() == {"search", "old"}
    assert calls(fake)["search"] == "calls=2i"


async def test_a_hanging_request_can_be_cancelled_and_the_batch_taken_again(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    fake.answers.append("hang")
    batch = records(of(3))
    task = asyncio.create_task(writer.take(0, batch))
    await asyncio.wait_for(fake.hanging.wait(), deadline(10))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await writer.take(0, batch)
    assert len(fake.stored) == 3


async def test_a_large_batch_does_not_hold_up_the_loop(
    fake: FakeInflux, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points are read and lines are built elsewhere: meanwhile others get their turn."""
    here, elsewhere = threading.get_ident(), set[int]()

    def watched(one: PlacedPoint) -> bytes:
        elsewhere.add(threading.get_ident())
        return line(one)

    monkeypatch.setattr("llmvitals.store.influx.store.line", watched)
    writer = InfluxStore(settings(fake.url))
    await writer.start()
    await writer.take(0, records(of(5_000)))
    await writer.stop()
    assert elsewhere
    assert here not in elsewhere
    assert len(fake.stored) == 5_000


async def test_memory_stays_bounded_through_a_long_outage(fake: FakeInflux, writer: InfluxStore) -> None:
    batch = records(of(2_000))
    await writer.take(0, batch)
    fake.answers += [503] * 400
    fake.requests.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(400):
        with pytest.raises(SinkError):
            await writer.take(0, batch)
        fake.requests.clear()
    await writer.take(0, batch)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_records_that_are_no_points_are_counted_and_their_neighbours_written(
    fake: FakeInflux, writer: InfluxStore
) -> None:
    prompt = "my prompt text"
    bad = [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        f'{{"measurement":"{prompt}"}}'.encode(),
        point(counts={"calls": 2**63}).encode(),
        point(start=2**62).encode(),
        point(measurement="x y").encode(),
        point(counts={'calls"': 1}).encode(),
        point(counts={"view": 1}).encode(),
        point(counts={"cost_usd": 1}).encode(),
        point(counts={}, measures={}).encode(),
    ]
    with capture_logs() as logs:
        await writer.take(0, records([*bad, point()]))
    assert calls(fake).keys() == {"search"}
    assert writer.counts.undecodable == len(bad) == len(logs)
    assert all(entry["reason"] for entry in logs)
    assert prompt not in str(logs)


async def test_a_bad_point_of_an_array_falls_alone(fake: FakeInflux, writer: InfluxStore) -> None:
    good = [point(team=f"t{number}").encode() for number in range(3)]
    bad = [b'{"measurement":"my prompt"}', b"3", point(counts={"view": 1}).encode()]
    array = b"[%b]" % b",".join([*good[:2], *bad, *good[2:]])
    with capture_logs() as logs:
        await writer.take(0, [*records([point(team="before"), array]), *records([point(team="after")])])
    assert calls(fake).keys() == {"before", "t0", "t1", "t2", "after"}
    assert (writer.counts.written, writer.counts.undecodable) == (5, 3)
    (entry,) = logs
    assert (entry["offset"], entry["points"]) == (1, 3)
    assert "my prompt" not in str(entry)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "no address"),
        ("localhost:8086", "no address"),
        ("ftp://localhost", "no address"),
    ],
)
def test_an_address_that_can_not_work_is_refused_before_anything_starts(url: str | None, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        InfluxStore(Settings(influx_url=url))


async def stored(config: Settings, name: str) -> dict[str, Any]:
    """Team → this field's value, in the real InfluxDB 1.8, by its other query language."""
    assert config.influx_token is not None
    user, password = config.influx_token.get_secret_value().split(":")
    question = {
        "u": user,
        "p": password,
        "db": config.influx_bucket.split("/")[0],
        "q": f'SELECT "{name}" FROM llm_calls GROUP BY team',
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{config.influx_url}/query", params=question) as response,
    ):
        (result,) = (await response.json())["results"]
    return {series["tags"]["team"]: series["values"][-1][1] for series in result["series"]}


def real(influx: Any, **more: Any) -> Settings:
    there = {"influx_token": influx.token, "influx_org": influx.org, "influx_bucket": influx.bucket}
    return settings(influx.url, **there | more)


@pytest.mark.influx
async def test_the_real_influxdb_overwrites(influx: Any) -> None:
    writer = InfluxStore(real(influx))
    await writer.start()
    for n in (1, 2):
        await writer.take(0, records([point(team=f"t{i}", counts={"calls": n}, upto=n) for i in range(50)]))
    await writer.stop()
    assert await stored(real(influx), "calls") == {f"t{i}": 2 for i in range(50)}


@pytest.mark.influx
async def test_the_real_influxdb_refuses_one_line_of_1000_and_has_the_rest(influx: Any) -> None:
    writer = InfluxStore(real(influx))
    await writer.start()
    await writer.take(0, records([point(team="first")]))
    conflict = point(team="bad", counts={}, measures={"calls": 1.5})
    many = [point(team=f"t{n}") for n in range(999)]
    with capture_logs() as logs:
        await writer.take(0, records([*many[:400], conflict, *many[400:]]))
    await writer.stop()
    assert (await stored(real(influx), "calls")).keys() == {"first"} | {f"t{n}" for n in range(999)}
    assert (writer.counts.set_aside, writer.counts.written) == (1, 1_000)
    (entry,) = logs
    assert "field type conflict" in entry["reason"]


@pytest.mark.influx
async def test_the_real_influxdb_keeps_every_hostile_tag_and_text_as_one_point(influx: Any) -> None:
    writer = InfluxStore(real(influx))
    await writer.start()
    sent = [
        point(team=evil, texts={"name": evil})
        for evil in INJECTIONS
        if evil != "\ud800"  # JSON can't carry it
    ]
    await writer.take(0, records(sent))
    await writer.stop()
    assert writer.counts.set_aside == 0
    assert await stored(real(influx), "calls") == {tag(p.tags["team"]): 4 for p in sent}
    assert await stored(real(influx), "name") == {tag(p.tags["team"]): text(p.texts["name"]) for p in sent}


@pytest.mark.influx
async def test_the_real_influxdb_reads_every_spelling_of_a_number(influx: Any) -> None:
    values = {"tiny": 1e-7, "small": 2.5e-300, "large": 1e16, "huge": -1.7e308, "whole": 3.0, "third": 1 / 3}
    writer = InfluxStore(real(influx))
    await writer.start()
    await writer.take(
        0, records(point(team=name, measures={"cost_usd": value}) for name, value in values.items())
    )
    await writer.stop()
    assert await stored(real(influx), "cost_usd") == values


@pytest.mark.influx
@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        ({"influx_token": "someone:else"}, "LLMVITALS_INFLUX_TOKEN"),
        ({"influx_bucket": "nothing/here"}, "no such bucket"),
    ],
)
async def test_the_real_influxdb_and_a_wrong_setting(influx: Any, wrong: dict[str, str], cure: str) -> None:
    writer = InfluxStore(real(influx, **wrong))
    await writer.start()
    with pytest.raises(SinkError, match=cure) as refused:
        await writer.take(0, records([point()]))
    assert refused.value.retry
    await writer.stop()
