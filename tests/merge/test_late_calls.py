"""Calls that come late tell nothing of the present: rules do not take them for traffic of now, but points do."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from frames import stored
from llmvitals.combine import Combine
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Message
from llmvitals.settings import Settings
from merge_with_rules import MINUTE, SECOND, START, alerts, disturbed, merging, piped

HOUR = 60 * MINUTE
NOW = START + HOUR
RULES = """groups:
- name: g
  rules:
  - alert: Errors
    threshold: {metric: error_share, above: 50%, window: 1m, min_calls: 3}
  - alert: Down
    outage: {window: 1m, min_calls: 3}
  - alert: Traffic
    threshold: {metric: calls, above: 9, window: 1m}
  - alert: Loops
    runaway: {by: [session], same_tool: 5, window: 10m}
  - alert: Gone
    absence: {by: [team], window: 5m, expect: always, min_calls: 1}
"""
LATE_SHARE = """
  - alert: Late
    threshold: {metric: late_share, above: 70%, window: 1m, min_calls: 15}
"""


def call(number: int, at: int, **more: Any) -> dict[str, Any]:
    plain = {"id": f"c{number}", "ts": at // 1_000, "model": "m", "team": "a", "latency_ms": 50}
    return plain | {"input_tokens": 10, "output_tokens": 1, "status": "ok"} | more


def told(calls: list[tuple[int, dict[str, Any]]]) -> list[Logged]:
    """(Kafka time in µs, call)"""
    return [Logged(n, at // 1_000, json.dumps(each).encode()) for n, (at, each) in enumerate(calls)]


def log() -> list[Logged]:
    """Three good calls a minute for half an hour, and in the middle twelve failed ones of an hour before."""
    calls = [(NOW + n * 20 * SECOND, call(n, NOW + n * 20 * SECOND)) for n in range(90)]
    tools = [{"name": "search", "arguments_hash": "a"}]
    failed = [
        (NOW + 15 * MINUTE, call(100 + n, START + n * 100 * SECOND, status="error", session="s", tools=tools))
        for n in range(12)
    ]
    return told([*calls[:45], *failed, *calls[45:]])


def frames(pipeline: Pipeline, records: list[Logged], dice: Random, *, dies: bool) -> list[Logged]:
    """What combine says in batches by chance; where it dies, it starts again from its checkpoint."""

    def combine(parts: dict[str, bytes]) -> Combine:
        return pipeline.combining("calls", 0, parts=parts, beginning=0, sources={"calls": 1})

    stage, parts, out = combine({}), dict[str, bytes](), list[Message]()
    while stage.next < len(records):
        out += stage.apply(records[stage.next : stage.next + dice.randint(1, 9)])
        stage.delivered(stage.mark())
        out += stage.flush()
        if dies and dice.random() < 0.3:
            parts = stage.snapshot().parts
        if dies and dice.random() < 0.3:
            stage = combine(parts)
    out += stage.finish()
    return [Logged(at, 0, message.value) for at, message in enumerate(out)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return piped(tmp_path_factory.mktemp("rules"), RULES + LATE_SHARE)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dies", [False, True])
def test_twelve_errors_that_come_an_hour_late_are_no_alert_of_now(pipeline: Pipeline, seed: int, dies: bool):
    """Only the rule that asks for late calls sees them. The pane of the late calls has none on time but one."""
    dice = Random(seed)
    records = frames(pipeline, log(), dice, dies=dies)
    heard = disturbed(pipeline, records, dice) if dies else merging(pipeline).apply(records)
    assert {alert.rule for alert in alerts(heard)} == {"Late"}


def test_if_the_same_calls_come_on_time_they_are(pipeline: Pipeline):
    """Or the test above would prove nothing."""
    calls = [(each.timestamp * 1_000, json.loads(each.value or b"")) for each in log()]
    now = told([(at, each | {"ts": at // 1_000}) for at, each in calls])
    heard = merging(pipeline).apply(frames(pipeline, now, Random(1), dies=False))
    assert {alert.rule for alert in alerts(heard)} == {"Errors", "Down", "Traffic", "Loops"}


@pytest.mark.parametrize("dies", [False, True])
def test_points_hold_late_calls_in_the_pane_in_which_they_came(tmp_path: Path, dies: bool):
    (tmp_path / "rules.yaml").write_text(RULES)
    pipeline = Pipeline.of(Settings(alerts=tmp_path), 1, ["calls"])
    dice = Random(5)
    records = frames(pipeline, log(), dice, dies=dies)
    heard = disturbed(pipeline, records, dice) if dies else merging(pipeline).apply(records)
    points = [
        point
        for (name, view, window, _, _), point in stored(heard).items()
        if (name, view, window) == ("llm_calls", "all", "10s")
    ]
    counts: Counter[str] = Counter()
    for point in points:
        counts.update(point.counts)
    assert [counts[name] for name in ("calls", "errors", "late_calls", "duplicates")] == [102, 12, 12, 0]
    (late,) = [point for point in points if point.counts["late_calls"]]
    assert late.start == NOW + 14 * MINUTE + 30 * SECOND
    assert late.counts["calls"] == 12


def test_a_series_that_only_late_calls_are_of_is_not_there_for_an_absence(pipeline: Pipeline):
    """A team that was silent all the hour is still silent when its old calls come."""
    other = [(NOW + n * 20 * SECOND, call(n, NOW + n * 20 * SECOND)) for n in range(90)]
    gone = [(NOW + n * 20 * SECOND, call(200 + n, NOW + n * 20 * SECOND, team="b")) for n in range(12)]
    late = [(NOW + 20 * MINUTE, call(300 + n, NOW + n * SECOND, team="b")) for n in range(12)]
    calls = sorted([*other, *gone, *late], key=lambda each: each[0])
    heard = merging(pipeline).apply(frames(pipeline, told(calls), Random(3), dies=False))
    found = [(alert.status, alert.labels["team"]) for alert in alerts(heard) if alert.rule == "Gone"]
    assert found == [("firing", "b")]
