"""Publishes a log to a cluster, and compares what its stores have with what the log adds up to."""

from __future__ import annotations

import json
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from influxdb_client import InfluxDBClient

from cluster import Cluster, rows
from oracle import FIELDS, VIEWS, Logs
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster import Worker
    from llmvitals.local.influx import InfluxBucket

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_790_000_000_000_000 // (24 * HOUR) * 24 * HOUR + 10 * HOUR
"""A morning before today, so that Kafka's time stamps are later than the calls'."""


async def publish(
    cluster: Cluster,
    logs: Logs,
    share: tuple[float, float] = (0.0, 1.0),
    partitions: Iterable[int] | None = None,
) -> None:
    """A span of these partitions' logs, one after the other; without `partitions`, of all in a random order."""
    if partitions is None:
        partitions = list(logs.records)
        random.Random(logs.start).shuffle(partitions)
    for partition in partitions:
        log = logs.records[partition]
        part = log[round(share[0] * len(log)) : round(share[1] * len(log))]
        await cluster.publish(cluster.settings.topic("calls"), partition, part)


def stored(cluster: Cluster) -> dict[tuple[str, str, int, tuple[str, ...]], dict[str, int]]:
    """What the SQLite store has."""
    found = {}
    sql = f"SELECT view, window, start, tags, {', '.join(FIELDS)} FROM llm_calls"
    for view, window, start, tags, *values in rows(cluster.values["sqlite"], sql):
        dims = json.loads(tags)
        key = (view, window, start, tuple(dims[name] for name in VIEWS[view]))
        found[key] = dict(zip(FIELDS, values, strict=True))
    return found


def compare(logs: Logs, found: dict[Any, dict[str, int]]) -> None:
    """Every view and window is there, equal to the last nano-dollar, and nothing else is."""
    wrong = {key: (found.get(key), want) for key, want in logs.expected().items() if found.get(key) != want}
    assert not wrong, f"{len(wrong)} of {len(logs.sums)} differ, such as {next(iter(wrong.items()))}"
    assert found.keys() == logs.expected().keys()


def settled(cluster: Cluster, logs: Logs) -> None:
    """Return when the store says what it must; fails with what differs when it does not in time."""
    expected = logs.expected()

    def done() -> bool:
        for worker in cluster.workers:
            code = worker.process.poll()
            assert code is None or code == -signal.SIGKILL or worker.stopped, cluster.logs()
        return stored(cluster) == expected

    with suppress(AssertionError):
        until(done, 90, every=0.25)  # a look reads the whole store
    compare(logs, stored(cluster))


async def dead_letters(cluster: Cluster) -> list[tuple[int, int]]:
    """Where the dead letters say that they come from, one for each key."""
    found = {
        record.key: dict(record.headers) for record in await cluster.read(cluster.settings.topic("calls.dlq"))
    }
    return sorted(
        (int(headers["llmvitals.err.partition"]), int(headers["llmvitals.err.offset"]))
        for headers in found.values()
    )


def conserved(worker: Worker) -> float:
    """The law of conservation, by the worker's own meters; how many calls it has read."""
    parts = sum(
        worker.metric(f"llmvitals_calls_{name}_total")
        for name in ("applied", "duplicate", "dead_lettered", "filtered")
    )
    assert worker.metric("llmvitals_calls_in_total") == parts
    refused = worker.metric("llmvitals_calls_dead_lettered_total")
    assert worker.metric("llmvitals_dead_letters_total") == refused
    assert "is not declared" not in worker.text()
    return parts


def in_influx(bucket: InfluxBucket) -> dict[Any, dict[str, int]]:
    """What InfluxDB has, by Flux."""
    fields = " or ".join(f'r._field == "{name}"' for name in FIELDS)
    script = (
        f'from(bucket: "{bucket.bucket}") |> range(start: 2020-01-01T00:00:00Z) '
        f'|> filter(fn: (r) => r._measurement == "llm_calls" and ({fields}))'
    )
    found: dict[Any, dict[str, int]] = {}
    with InfluxDBClient(bucket.url, bucket.token, org=bucket.org, timeout=60_000) as client:
        for table in client.query_api().query(script):
            for record in table.records:
                view = record["view"]
                start = round(record.get_time().timestamp() * 1_000_000)
                key = (view, record["window"], start, tuple(record[name] for name in VIEWS[view]))
                found.setdefault(key, {})[record.get_field()] = record.get_value()
    return found
