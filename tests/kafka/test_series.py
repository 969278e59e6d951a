"""A producer that never says a name twice: on a real broker the store stays small, and the totals exact."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from cluster import Cluster, rows
from exact import MINUTE, START
from llmvitals.merge.roster import share
from waiting import until

if TYPE_CHECKING:
    from pathlib import Path

MOST, PARTITIONS, NAMES = 40, 4, 20_000
LENGTH = 10 * MINUTE
WINDOWS = {"10s": 10, "1m": 60, "5m": 300}


def calls(partition: int) -> list[tuple[int, str, bytes]]:
    """Time (µs), app and value of a partition's calls: an app that is there all the time, and fresh names."""
    made = []
    for number in range(NAMES // PARTITIONS):
        at = START + LENGTH * number // (NAMES // PARTITIONS)
        app = "shop" if number % 50 == 0 else f"junk-{partition}-{number}"
        call = {"id": f"{partition}/{number}", "ts": at // 1_000, "model": "gpt-4o", "app": app,
                "input_tokens": number, "output_tokens": 1}  # fmt: skip
        made.append((at, app, json.dumps(call).encode()))
    return made


def stored(cluster: Cluster) -> list[tuple[str, int, dict[str, str], int, int]]:
    """Window, start, tags, calls and tokens of the view `app`."""
    sql = "SELECT window, start, tags, calls, input_tokens FROM llm_calls WHERE view = 'app'"
    found = rows(cluster.values["sqlite"], sql)
    return [(window, start, json.loads(tags), *sums) for window, start, tags, *sums in found]


@pytest.mark.kafka
@pytest.mark.timeout(240)
async def test_fresh_names_without_end(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    """Also when merge is killed in the middle."""
    settings = {"sqlite": tmp_path / "vitals.db", "max_series": MOST, "idle": "3s"}
    async with Cluster(kafka, topic_prefix, tmp_path, **settings) as cluster:
        made = [calls(partition) for partition in range(PARTITIONS)]
        topic = cluster.settings.topic("calls")

        async def publish(first: float, last: float) -> None:
            parts = [part[int(first * len(part)) : int(last * len(part))] for part in made]
            await asyncio.gather(
                *(cluster.publish(topic, n, [value for _, _, value in part]) for n, part in enumerate(parts))
            )

        for stage in ("combine", "merge", "sink"):
            cluster.start(stage)
        await publish(0, 0.5)
        merge = cluster.workers[1]
        cut = "llmvitals_series_cut_total"
        await asyncio.to_thread(until, lambda: merge.metric(cut, view="app") > 0, 60, cluster.logs)
        merge.kill()
        merge = cluster.start("merge")
        await publish(0.5, 1)
        # What lies behind the last call closes once the partitions are idle.
        await asyncio.to_thread(until, lambda: sums(cluster) == expected(made), 90, cluster.logs)
        check(cluster)
        assert "view app has more names than it may have" in merge.text()
        assert await asyncio.to_thread(merge.stop) == 0


def check(cluster: Cluster) -> None:
    """The store has a few names; the app that was there all the time is one of them, and exact."""
    found = stored(cluster)
    named = {tags["app"] for _, _, tags, *_ in found}
    assert len(named) <= PARTITIONS * share(MOST, PARTITIONS) + 1
    shop = sum(made for window, _, tags, made, _ in found if (window, tags["app"]) == ("5m", "shop"))
    assert shop == NAMES // 50
    told = rows(cluster.values["sqlite"], "SELECT examples, cut FROM llm_cardinality WHERE name = 'app'")
    assert all(examples.startswith("junk-") for examples, _ in told)
    # combine counts in `_other` what is over the limit in one pane; of the rest merge knows the names.
    assert NAMES / 4 < sum(cut for _, cut in told) < NAMES


def expected(made: list[list[tuple[int, str, bytes]]]) -> Counter[tuple[str, int, str]]:
    """(window, start, calls or tokens) → brute force."""
    want: Counter[tuple[str, int, str]] = Counter()
    for at, _, value in (call for part in made for call in part):
        for window, length in WINDOWS.items():
            start = at // (length * 1_000_000) * length * 1_000_000
            want[window, start, "calls"] += 1
            want[window, start, "tokens"] += json.loads(value)["input_tokens"]
    return want


def sums(cluster: Cluster) -> Counter[tuple[str, int, str]]:
    """The same of the store, over all names and shards."""
    found: Counter[tuple[str, int, str]] = Counter()
    for window, start, _, made, tokens in stored(cluster):
        if window in WINDOWS:
            found[window, start, "calls"] += made
            found[window, start, "tokens"] += tokens
    return found
