"""Calls that cost money, through both stages of the worker in this process, for tests of budgets."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from frames import alerts
from llmvitals.backtest.replay import SOURCE, Replay
from llmvitals.merge import Merge
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Message
from llmvitals.settings import Settings
from panes import PANE, SECOND

HOUR = 3_600 * SECOND // PANE
"""Panes of an hour."""
DAY = 24 * HOUR


def moment(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    """The pane that begins at a local time; fold 1: for the second time in a night in autumn."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp()) * SECOND // PANE


def call(pane: int, cost: float, number: int | str = 0, **fields: Any) -> dict[str, Any]:
    """A call at the start of a pane."""
    told = {"id": f"{pane}-{number}", "ts": pane * PANE // 1_000, "model": "gpt-5", "provider": "openai"}
    return told | {"input_tokens": 1, "output_tokens": 1, "cost_usd": cost} | fields


def stages(folder: Path, *rules: str) -> Replay:
    """Combine and merge with these rules, each written from its `alert:` on."""
    text = "".join(
        "  - " + textwrap.indent(textwrap.dedent(rule).strip(), "    ").strip() + "\n" for rule in rules
    )
    (folder / "rules.yaml").write_text("groups:\n- name: test\n  rules:\n" + text, encoding="utf-8")
    return Replay.of(Settings(alerts=folder))


def replayed(
    replay: Replay, calls: Sequence[Mapping[str, Any]], size: int = 100_000, until: int = 0
) -> list[Alert]:
    """All alerts of the calls, handed in `size` at a time; until: a pane with a last call, which costs nothing."""
    calls = [*calls, *([call(until, 0, "last")] if until else [])]
    said = [each for first in range(0, len(calls), size) for each in fed(replay, calls[first : first + size])]
    return alerts([*said, *replay.finish()])


def fed(replay: Replay, calls: Sequence[Mapping[str, Any]]) -> list[Message]:
    """What the stages say of these calls, one batch, and those that follow."""
    now = max(each["ts"] for each in calls)
    first = replay.combine.next
    return replay.feed(
        [Logged(first + place, now, json.dumps(each).encode()) for place, each in enumerate(calls)]
    )


def brief(found: Iterable[Alert]) -> list[tuple[str, str, str]]:
    """(status, facet, level) of each."""
    return [(alert.status, alert.facet, alert.level) for alert in found]


def restarted(replay: Replay, folder: Path) -> Replay:
    """The same worker after it went down and came up with the rules that are in the folder now."""
    merge = replay.stages.merge
    assert isinstance(merge, Merge)
    again, parts = copy(replay), merge.snapshot(whole=True).parts
    again.stages = copy(replay.stages)
    pipeline = Pipeline.of(Settings(alerts=folder), 1, [SOURCE])
    pipeline = replace(pipeline, merge=replace(pipeline.merge, buckets=merge._plan.buckets))
    again.stages.merge = pipeline.merging("", 0, parts=parts, beginning=0, sources={})
    return again
