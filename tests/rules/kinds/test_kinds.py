"""Each kind of condition once, through the stages as they are: calls in, alerts out."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster import Cluster
from frames import alerts
from llmvitals.backtest.replay import SOURCE, Replay
from llmvitals.merge import Merge
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged
from llmvitals.settings import Settings
from llmvitals.window import MINUTE, SECOND
from waiting import eventually

START = 1_780_304_400 * SECOND
"""A full hour."""
RULES = "groups:\n- name: test\n  rules:\n  - alert: A\n    {rule}\n"


class Company:
    """Calls at times (µs since START) into both stages; what is said, and when it was heard."""

    def __init__(self, folder: Path, rule: str, **settings: Any) -> None:
        (folder / "rules.yaml").write_text(RULES.format(rule=rule))
        self._settings = Settings(alerts=folder, **settings)
        self._stages, self._offset = Replay.of(self._settings), 0
        self._parts: dict[str, bytes] = {}
        self.heard: list[tuple[int, Alert]] = []

    def call(self, time: int, **fields: Any) -> None:
        """One call that ended then."""
        event = {"id": str(self._offset), "ts": (START + time) // 1_000, "model": "gpt-5", "app": "search"}
        record = Logged(self._offset, (START + time) // 1_000, json.dumps(event | fields).encode())
        self._offset += 1
        self._hear(time, self._stages.feed([record]))

    def silence(self, time: int) -> None:
        """Nothing comes before this time: what the driver promises where all partitions are idle."""
        self._stages.combine.promise(START + time)
        self._hear(time, self._stages.feed([]))
        self._hear(time, self._stages.feed([]))

    def restart(self) -> None:
        """Merge dies, and another one goes on with what it has written."""
        merge = self._stages.stages.merge
        assert isinstance(merge, Merge)
        self._parts |= merge.snapshot(whole=True).parts
        pipeline = Pipeline.of(self._settings, 1, [SOURCE])
        pipeline = replace(pipeline, merge=replace(pipeline.merge, buckets=1))  # As Replay's.
        self._stages.stages.merge = pipeline.merging("", 0, parts=self._parts, beginning=0, sources={})

    def _hear(self, time: int, out: Any) -> None:
        self.heard += [(time, alert) for alert in alerts(out)]

    @property
    def told(self) -> list[tuple[str, str]]:
        """(status, level) of each."""
        return [(alert.status, alert.level) for _, alert in self.heard]


def test_absence_is_told_when_all_traffic_stops(tmp_path):
    company = Company(tmp_path, "absence: {by: [app], window: 5m}")
    for second in range(0, 600, 2):
        company.call(second * SECOND)
        company.call(second * SECOND, app="chat")
    assert company.told == []
    for minute in range(10, 20):
        company.restart()
        company.silence(minute * MINUTE)
    assert sorted(alert.labels["app"] for _, alert in company.heard) == ["chat", "search"]
    assert {(when, alert.at - START) for when, alert in company.heard} == {(15 * MINUTE, 15 * MINUTE)}
    company.call(20 * MINUTE)
    company.silence(21 * MINUTE)
    assert [alert.labels["app"] for _, alert in company.heard if alert.status == "resolved"] == ["search"]


def test_absence_of_one_shows_while_others_go_on(tmp_path):
    company = Company(tmp_path, "absence: {by: [app], window: 5m}")
    for second in range(0, 1200, 2):
        company.call(second * SECOND, app="chat")
        if second < 600:
            company.call(second * SECOND)
    assert [(alert.labels["app"], alert.at - START) for _, alert in company.heard] == [
        ("search", 15 * MINUTE)
    ]


def test_a_runaway_is_heard_with_the_call_that_makes_it_one(tmp_path):
    company = Company(tmp_path, "runaway: {by: [session], spend: 5, window: 10m}")
    for second in range(60):
        company.call(second * SECOND, session="s1", cost_usd=0.25)
        company.call(second * SECOND, cost_usd=0.25)
        company.restart()
    assert [(when, alert.level) for when, alert in company.heard] == [(19 * SECOND, ""), (39 * SECOND, "×2")]
    assert company.heard[0][1].summary == "session=s1 spent $5 within 10m; limit $5"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("same_tool: 20", "called search#ab12 20 times within 10m, each time with the same arguments"),
        (
            "signatures: {calls: 30, at_most: 3}",
            "made 30 tool calls within 10m, of only 2 kinds: search#ab12, open#cd34",
        ),
    ],
)
def test_a_loop_of_tools_is_heard_from_the_calls_that_ask_for_them(tmp_path, limit, said):
    company = Company(tmp_path, f"runaway: {{by: [session], {limit}, window: 10m}}")
    search = {"name": "search", "arguments_hash": "ab12"}
    fetch = {"name": "open", "arguments_hash": "cd34"}
    for turn in range(20):
        asked = [search, fetch] if turn % 2 else [search]
        company.call(turn * SECOND, session="s1", tools=asked)
    ((_, alert),) = company.heard
    assert alert.note == said


def test_an_outage_becomes_major_and_counts_the_providers_faults_only(tmp_path):
    company = Company(tmp_path, "outage: {errors: [Timeout], window: 1m, min_calls: 10}")
    for second in range(600):
        faults = {120: 3, 240: 10}.get(second // 120 * 120, 0)
        bad = {"status": "error", "error_type": "Timeout"} if second % 10 < faults else {}
        company.call(second * SECOND, provider="openai", **bad)
        company.call(second * SECOND, provider="openai", status="error", error_type="BadRequest")
        company.call(second * SECOND, provider="mistral")
        if second % 100 == 0:
            company.restart()
    assert [(how, level, alert.severity) for (how, level), (_, alert) in zip(company.told, company.heard, strict=True)] == [
        ("firing", "minor", "warning"), ("firing", "major", "critical"), ("resolved", "major", "critical"),
    ]  # fmt: skip
    assert {alert.labels["provider"] for _, alert in company.heard} == {"openai"}


def test_a_threshold_on_a_score(tmp_path):
    company = Company(tmp_path, "threshold: {metric: score.helpful_mean, below: 0.5, by: [app], window: 1m}")
    for second in range(300):
        company.call(second * SECOND, scores={"helpful": 0.25 if 100 <= second < 200 else 0.75})
    assert company.told == [("firing", ""), ("resolved", "")]


def test_a_monitor_that_can_not_say_any_more_says_so(tmp_path):
    rule = "threshold: {metric: latency_p95, above: 4s, by: [app], window: 1m}\n    for: 1m\n    no_data: no_data"
    company = Company(tmp_path, rule)
    for second in range(300):
        company.call(second * SECOND, latency_ms=100)
    for minute in range(5, 10):
        company.restart()
        company.silence(minute * MINUTE)
    ((_, alert),) = company.heard
    assert (alert.level, alert.metric) == ("no data", "calls")
    assert alert.since - START <= 6 * MINUTE
    assert alert.at - START <= 7 * MINUTE


@pytest.mark.kafka
async def test_on_kafka_absence_is_told_when_every_partition_is_silent(kafka, topic_prefix, tmp_path):
    rule = "absence: {by: [app], window: 5s, expect: always, min_calls: 1}"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES.format(rule=rule))
    settings = {"alerts": tmp_path / "rules", "pane": "1s", "disorder": "1s", "idle": "1s"}
    async with Cluster(kafka, topic_prefix, tmp_path, **settings) as cluster:
        now = time.time_ns() // 1_000_000
        calls = [
            {"id": str(n), "ts": now - 2_000 + n, "model": "gpt-5", "app": "search"} for n in range(2_000)
        ]
        await cluster.publish(
            cluster.settings.topic("calls"), 0, [json.dumps(call).encode() for call in calls]
        )
        for stage in ("combine", "merge"):
            cluster.start(stage)
        found = await eventually(lambda: cluster.read(cluster.settings.topic("alerts")), what=cluster.logs)
        alert = Alert.decode(found[0].value)
        assert (alert.rule, alert.labels) == ("A", {"app": "search"})
        assert 0 <= alert.at - now * 1_000 - 5 * SECOND < 3 * SECOND
