"""A million users in an hour through both stages, without Kafka: `python -m benchmarks.users [USERS]`.

Each user calls once, and a tenth of the calls beside is of 100 heavy users, the first of whom spends most
(1/rank). A view is split by user. Says what is exact, what `_other` holds, how far the heaviest users that
the points of each window show are from the truth, and what it costs.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections import Counter, defaultdict
from typing import Any, Final

import msgspec
from benchmarks.combine import MODELS, START

from llmvitals.backtest.replay import BATCH, Replay
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.point import Point, decode
from llmvitals.settings import Settings
from llmvitals.window import HOUR, MINUTE

HEAVY: Final = 100
HOUR_MS: Final = 3_600_000
WINDOWS: Final = {"1m": MINUTE, "1h": HOUR}
Truth = dict[tuple[str, int], Counter[str]]
"""(window, its start) → user → nano-dollars."""


def event(number: int, users: int, dice: random.Random) -> dict[str, Any]:
    """A call: ten of eleven are of a new user each."""
    ts = START // HOUR_MS * HOUR_MS + HOUR_MS + number * HOUR_MS // (users * 11 // 10)
    heavy = number % 11 == 10
    rank = int(HEAVY ** dice.random()) if heavy else 0
    provider, model = MODELS[dice.randrange(6)]
    return {
        "id": f"c{number}", "ts": ts, "provider": provider, "model": model,
        "user": f"heavy-{rank}" if heavy else f"u{number - number // 11}",
        "cost_usd": dice.randrange(1, 10_000) / 1e6, "input_tokens": 900, "output_tokens": 90,
    }  # fmt: skip


def replay(users: int, truth: Truth) -> list[Point]:
    """Run all calls; returns the points, and counts in `truth` what each user spent."""
    views: Any = [{"name": "user", "by": ["user"]}]
    stages = Replay.of(Settings(views=views))
    points: list[Point] = []
    batch: list[Logged] = []
    dice = random.Random(5)

    def keep(messages: list[Message]) -> None:
        points.extend(
            point
            for message in messages
            if message.topic is Topic.VITALS
            for point in decode(message.value or b"")
            if point.tags.get("view") in ("all", "user") and point.tags.get("window") in WINDOWS
        )

    for number in range(users * 11 // 10):
        call = event(number, users, dice)
        for window, length in WINDOWS.items():
            truth[window, call["ts"] * 1_000 // length * length][call["user"]] += round(
                call["cost_usd"] * 1e9
            )
        batch.append(Logged(number, call["ts"], msgspec.json.encode(call)))
        if len(batch) == BATCH:
            keep(stages.feed(batch))
            batch = []
    keep(stages.feed(batch))
    keep(stages.finish())
    return points


def missing(points: list[Point], truth: Truth, window: str) -> tuple[int, int, float]:
    """Of the ten heaviest users of every window: how many are shown, of how many, and the greatest share of
    the window's cost that one of them lacks."""
    shown: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for point in points:
        if point.measurement == "llm_top" and point.tags["kind"] == "user" and point.tags["view"] == "all":
            place = (point.tags["window"], point.start)
            shown[place][str(point.texts["name"])] = round(point.measures["cost_usd"] * 1e9)
    seen = wanted = 0
    worst = 0.0
    for place, spent in truth.items():
        if place[0] == window:
            for user, cost in spent.most_common(10):
                wanted += 1
                seen += user in shown[place]
                worst = max(worst, (cost - shown[place].get(user, 0)) / spent.total())
    return seen, wanted, worst


def main(users: int = 1_000_000) -> None:
    """Say what was found."""
    truth: Truth = defaultdict(Counter)
    began = time.process_time()
    points = replay(users, truth)
    seconds, calls = time.process_time() - began, users * 11 // 10
    hour = {
        point.tags.get("user", ""): point.counts
        for point in points
        if point.measurement == "llm_calls" and point.tags["window"] == "1h"
    }
    cost = sum(spent.total() for (window, _), spent in truth.items() if window == "1h")
    whole, split = hour.pop(""), list(hour.values())
    print(
        f"{calls:,} calls of {users:,} users in {seconds:.0f} s, {calls / seconds:,.0f}/s with their making"
    )
    print(f"series of the view: {len(split):,}; calls in _other: {hour['_other']['calls']:,}")
    print(f"calls: {calls:,} = {whole['calls']:,} = {sum(counts['calls'] for counts in split):,}")
    print(f"nano-dollars: {cost:,} = {whole['cost_nano']:,} = {sum(c['cost_nano'] for c in split):,}")
    for window in WINDOWS:
        seen, wanted, worst = missing(points, truth, window)
        print(f"{window}: {seen:,} of the {wanted:,} heaviest are shown; one lacks {worst:.4%} at most")
    print(
        f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB, with the truth"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
