"""Backtests for tests: calls with alerts worked out by hand, and folders of rules."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frames import alerts
from llmvitals.backtest.evaluator import Evaluator
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.settings import Settings

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
NOON = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()) * SECOND


def folder(path: Path, text: str) -> Path:
    """A folder with these rules."""
    path.mkdir()
    (path / "rules.yaml").write_text(text)
    return path


def comparable(alerts: Sequence[Alert]) -> list[tuple[Any, ...]]:
    """What is compared of the changes of alerts: all but who carried them."""
    return sorted(
        (a.at, a.rule, a.episode, a.status, a.level, a.facet, a.value, a.limit, a.peak, a.since, a.summary)
        for a in alerts
        if not a.update
    )


def worker_alerts(settings: Settings, parts: Sequence[Sequence[Logged]], *, most: int = 0) -> list[Alert]:
    """The worker's own stages, which are asked for nothing early; most: calls of a batch, 0 for all at once."""
    pipeline = Pipeline.of(settings.model_copy(update={"default_views": False}), 1, ["calls"])
    views = {name: replace(view, stored=False, eager=False) for name, view in pipeline.merge.views.items()}
    pipeline = replace(pipeline, merge=replace(pipeline.merge, views=views))
    merge = pipeline.merging("", 0, parts={}, beginning=0, sources={})
    stages = [
        pipeline.combining("calls", number, parts={}, beginning=0, sources={"calls": len(parts)})
        for number in range(len(parts))
    ]
    size, frames = most or max(map(len, parts)) or 1, list[Message]()
    for start in range(0, max(map(len, parts)), size):
        for stage, records in zip(stages, parts, strict=True):
            frames += stage.apply(records[start : start + size])
            stage.delivered(stage.mark())
            frames += stage.flush()
    frames += [message for stage in stages for message in stage.finish()]
    partials = [frame for frame in frames if frame.topic is Topic.PARTIALS]
    return alerts(merge.apply([Logged(offset, 0, frame.value) for offset, frame in enumerate(partials)]))


def evaluate(
    settings: Settings,
    lines: Sequence[bytes],
    dice: random.Random,
    *,
    partitions: int,
    most: int,
    processes: int = 1,
) -> tuple[Evaluator, list[list[Logged]]]:
    """A trial of calls that are strewn over partitions, which take turns in batches of fewer than `most`."""
    parts: list[list[Logged]] = [[] for _ in range(partitions)]
    for line in lines:
        part = dice.choice(parts)
        part.append(Logged(len(part), NOON // 1_000 + 10**9, line))
    found = Evaluator.of(settings, [settings.alerts], {"calls": partitions}, processes=processes)
    places = [0] * partitions
    while waiting := [number for number in range(partitions) if places[number] < len(parts[number])]:
        number = min(waiting, key=places.__getitem__)
        records = parts[number][places[number] :][: dice.randrange(1, most)]
        found.feed("calls", number, records)
        places[number] += len(records)
    for number in range(partitions):
        found.end("calls", number)
    return found, parts
