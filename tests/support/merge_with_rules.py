"""Calls by chance through the real stages with rules, and a merge that dies again and again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from frames import alerts
from llmvitals.merge import Merge
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Message
from llmvitals.settings import Settings

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_748_783_460 * SECOND  # 2025-06-01 13:11 UTC
Call = tuple[int, str, int, bool]
"""Seconds after START, team, cents, whether it failed."""
CALLS = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from("abc"), st.integers(0, 300), st.booleans()),
    min_size=1,
    max_size=50,
)


def piped(folder: Path, rules: str) -> Pipeline:
    """The stages of these rules, with few buckets, which are checkpointed one by one."""
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    made = Pipeline.of(Settings(alerts=folder, default_views=False), 1, ["calls"])
    return replace(made, merge=replace(made.merge, buckets=16, rounds=16))


def event(number: int, call: Call) -> dict[str, Any]:
    second, team, cents, failed = call
    return {
        "id": f"c{number}",
        "ts": START // 1_000 + second * 1_000,
        "model": "m",
        "team": team,
        "cost_usd": cents / 100,
        "input_tokens": cents,
        "output_tokens": 0,
        "latency_ms": 20 * cents,
        "status": "error" if failed else "ok",
        "tools": [{"name": "search", "arguments_hash": str(cents % 2)}],
    }


def frames(pipeline: Pipeline, calls: Iterable[Call], cut: Callable[[], int]) -> list[Logged]:
    """What two partitions, which take turns, say about the calls; cut: how many are taken in a turn."""
    events = [event(number, call) for number, call in enumerate(sorted(calls))]
    stages = [
        pipeline.combining("calls", number, parts={}, beginning=0, sources={"calls": 2}) for number in (0, 1)
    ]
    logs = [
        [Logged(at, each["ts"], json.dumps(each).encode()) for at, each in enumerate(events[number::2])]
        for number in (0, 1)
    ]
    out: list[Message] = []
    while any(logs):
        for stage, rest in zip(stages, logs, strict=True):
            some = cut()
            out += stage.apply(rest[:some])
            stage.delivered(stage.mark())
            out += stage.flush()
            del rest[:some]
    for stage in stages:
        out += stage.finish()
    return [Logged(at, 0, message.value) for at, message in enumerate(out)]


def merging(pipeline: Pipeline, parts: dict[str, bytes] | None = None) -> Merge:
    return pipeline.merging("partials", 0, parts=parts or {}, beginning=0, sources={})


def disturbed(pipeline: Pipeline, records: list[Logged], dice: Random) -> list[Message]:
    """All that is heard when it dies again and again."""
    stage, parts = merging(pipeline), dict[str, bytes]()
    work, heard = stage.pieces(records), list[Message]()
    for _ in range(dice.randint(1, 40)):
        heard += chain.from_iterable(islice(work, dice.randint(1, 20)))
        what = dice.choice(["checkpoint", "checkpoint", "crash", "torn"])
        if what in ("checkpoint", "torn"):
            written = list(stage.snapshot().parts.items())
            parts.update(written[: None if what == "checkpoint" else -1])
        if what in ("crash", "torn"):
            stage = merging(pipeline, parts)
            work = stage.pieces(records)
    return [*heard, *chain.from_iterable(work)]


def changes(messages: Iterable[Message]) -> list[tuple[str, str, str]]:
    """Episode, status and level of every alert; what is said again to the letter counts once."""
    once = {message.value: message for message in messages}
    return sorted((alert.episode, alert.status, alert.level) for alert in alerts(once.values()))
