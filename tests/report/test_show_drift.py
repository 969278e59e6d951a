"""drift show, drift baseline show, canary show: what a store holds, drawn for eyes and told to programs."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time
from pathlib import Path

import msgspec
import pytest

import commands
from llmvitals.record.point import Point
from llmvitals.settings import Settings
from llmvitals.store.sqlite.store import SqliteStore
from store_points import records

MINUTE = 60_000_000
NOW = time.time_ns() // 1_000 // MINUTE * MINUTE
HEIGHT = {"search": 0.4, "chat": 1.8, "new": None}


def drift(app: str, ago: int, statistic: float | None) -> Point:
    measures = {"reference_age_s": 0.0}
    if statistic is not None:
        measures = {
            "statistic": statistic, "threshold": 1.0, "topics": statistic, "shape": statistic / 2,
            "reference_age_s": 90_000.0 - ago * 60, "overdispersion": 1.73,
        }  # fmt: skip
    return Point(
        measurement="llm_drift", start=NOW - ago * MINUTE,
        tags={"view": "rule:app", "window": "16m", "rule": "Meaning", "app": app},
        counts={"calls": 50, "reference_calls": 12_345}, measures=measures, texts={"model": "ada/1536"},
    )  # fmt: skip


def canary(metric: str, ago: int, evidence: float, effect: tuple[float, float, float]) -> Point:
    low, middle, high = effect
    measures = {
        "log10_e": evidence, "log10_limit": 3.0, "arm_value": 0.04, "control_value": 0.02,
        "effect": middle, "effect_low": low, "effect_high": high, "overdispersion": 1.2,
        "visible_day": {"error_share": 1.83, "latency_p95": 100.0}.get(metric, -0.05),
        "visible_week": {"error_share": 1.27, "latency_p95": 1.9}.get(metric, -0.02),
    }  # fmt: skip
    return Point(
        measurement="llm_canary", start=NOW - ago * MINUTE,
        tags={
            "view": "v", "window": "", "rule": "Prompts", "app": "chat", "metric": metric, "arm": "v8", "control": "v7"
        },
        counts={"arm_calls": 5_000 - ago, "control_calls": 95_000}, measures=measures, texts={"cluster": "user"},
    )  # fmt: skip


def made() -> list[Point]:
    found = [
        drift(app, ago, top and top * (1 - ago / 300) * (1 + 0.1 * math.sin(ago)))
        for app, top in HEIGHT.items()
        for ago in range(240)
    ]
    for ago in range(0, 240, 5):
        found.append(canary("error_share", ago, 5.2 * (1 - ago / 240), (1.4, 1.9, 2.6)))
        found.append(canary("latency_p95", ago, 0.3, (0.93, 1.01, 1.1)))
        found.append(canary("score.helpful", ago, -0.2, (-0.05, -0.01, 0.03)))
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "vitals.db"

    async def fill() -> None:
        writer = SqliteStore(Settings(sqlite=path))
        await writer.start()
        await writer.take(0, records(made()))
        await writer.stop()

    asyncio.run(fill())
    return path


def test_drift_is_drawn_against_its_threshold(store, tmp_path):
    said = commands.said(tmp_path, "drift", "show", "--since", "6h", sqlite=str(store))
    assert said.code == 0
    assert "1.80 of 1 (topics 1.80, shape 0.90)" in said.text
    assert "reference 1 d 1 h old, 12,345 calls of ada/1536 · φ 1.73" in said.text
    assert "╌" in said.out, "the threshold"
    assert "█" in said.out
    assert "app new learning, from 12,345 calls so far" in said.text


def test_drift_says_what_it_can_see_and_what_its_limits_rest_on(tmp_path):
    usual = {
        "statistic": 0.2,
        "threshold": 1.0,
        "unusual": 0.2,
        "reference_age_s": 60.0,
        "overdispersion": 1.0,
    }
    told = {
        "many": usual
        | {"topics": 0.1, "shape": 0.1, "visible_share": 0.031, "limits_learned_s": 14.4 * 3_600},
        "few": usual | {"visible_share": 0.42, "limits_learned_s": 9.0 * 86_400},
    }
    path, points = tmp_path / "sight.db", []
    for app, measures in told.items():
        points.append(msgspec.structs.replace(drift(app, 1, None), measures=measures))
    for ago, share in ((240, 0.1), (0, 0.102)):
        points.append(msgspec.structs.replace(drift("begun", ago, None), measures={"learned_share": share}))

    async def fill() -> None:
        writer = SqliteStore(Settings(sqlite=path))
        await writer.start()
        await writer.take(0, records(points))
        await writer.stop()

    asyncio.run(fill())
    text = commands.said(tmp_path, "drift", "show", sqlite=str(path)).text
    assert "topics 0.10, shape 0.10, unusual 0.20" in text
    assert "finds a new topic of 3% of the calls within 6 h" in text
    assert "limits rest on 14 h 24 min of calls: too short to know the rarest hours of a month" in text
    assert "topics learns this hour of the week" in text
    assert "too few calls: only a new topic of more than 42% of them is found within 6 h" in text
    assert "limits rest on 9 d of calls" in text
    assert "10% done, too few calls: about 74 d 20 h more at this traffic" in text


def test_series_and_rules_are_chosen(store, tmp_path):
    said = commands.said(tmp_path, "drift", "show", "app=chat", "--rule", "Meaning", sqlite=str(store))
    assert "app chat" in said.text
    assert "search" not in said.text
    said = commands.said(tmp_path, "drift", "show", "--rule", "Other", sqlite=str(store))
    assert (said.code, said.text) == (0, "No rule of drift has said anything in this time.")
    said = commands.said(tmp_path, "drift", "show", "chat", sqlite=str(store))
    assert said.code == 2
    assert "write NAME=VALUE, such as app=chat" in said.text


def test_drift_as_json_has_every_point(store, tmp_path):
    said = commands.said(tmp_path, "drift", "show", "--since", "6h", "--json", sqlite=str(store))
    found = {course["labels"]["app"]: course for course in json.loads(said.out)}
    assert {app: len(course["points"]) for app, course in found.items()} == dict.fromkeys(HEIGHT, 240)
    assert found["chat"]["points"][-1]["statistic"] == 1.8
    assert "statistic" not in found["new"]["points"][-1]


def test_references_are_a_table(store, tmp_path):
    said = commands.said(tmp_path, "drift", "baseline", "show", sqlite=str(store))
    assert said.code == 0
    assert "Meaning app chat 1 d 1 h old ada/1536 12,345 1.73 1.80 1" in said.text
    assert "Meaning app new learning ada/1536 12,345 – – 1" in said.text


def test_canaries_are_compared_metric_by_metric(store, tmp_path):
    said = commands.said(tmp_path, "canary", "show", "--since", "6h", sqlite=str(store))
    assert said.code == 0
    assert "v8 (5,000 calls) against v7 (95,000)" in said.text
    lines = {line.split()[0]: " ".join(line.split()) for line in said.out.splitlines() if line.strip()}
    assert lines["error_share"].startswith("error_share 0.04 0.02 ×1.90 ×1.40 – ×2.60")
    assert lines["error_share"].endswith("173%")
    assert "┼" not in lines["error_share"], "its interval leaves the control out"
    assert "┼" in lines["score.helpful"]
    assert "-0.010 -0.050 – +0.030" in lines["score.helpful"]
    found = json.loads(commands.said(tmp_path, "canary", "show", "--json", sqlite=str(store)).out)
    assert [line["metric"] for line in found[0]["metrics"]] == ["error_share", "latency_p95", "score.helpful"]


def test_canaries_say_what_they_count_and_what_they_could_see(store, tmp_path):
    said = commands.said(tmp_path, "canary", "show", "--since", "6h", sqlite=str(store)).text
    assert "Evidence counted by user." in said
    assert "Found within a day, a week from: error_share ×1.83, ×1.27; score.helpful -0.050, -0.020." in said
    assert "+30% would not be found within a week, only: latency_p95 ×100.00+, ×1.90." in said


@pytest.mark.parametrize("what", ["drift", "canary"])
def test_a_picture_is_a_png(store, tmp_path, what):
    said = commands.said(tmp_path, what, "show", "--since", "6h", "--png", "out.png", sqlite=str(store))
    assert said.code == 0, said.text
    data = (tmp_path / "out.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert min(struct.unpack(">2I", data[16:24])) > 300


def test_without_matplotlib_it_is_said_what_to_install(store, tmp_path):
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("raise ImportError('not here')", encoding="utf-8")
    said = commands.said(tmp_path, "drift", "show", "--png", "out.png", sqlite=str(store))
    assert said.code == 2
    assert "install llmvitals[charts]" in said.text
    assert not (tmp_path / "out.png").exists()


def test_nothing_to_draw_and_no_store_are_told(tmp_path):
    said = commands.said(tmp_path, "drift", "show")
    assert said.code == 2
    assert "No store is set" in said.text
    said = commands.said(tmp_path, "canary", "show", sqlite=str(tmp_path / "none.db"))
    assert said.code == 1
    assert "not there yet" in said.text


RULE = """
groups:
- name: meaning
  rules:
  - alert: Meaning
    drift: {by: [app], learn: 1h}
  - alert: Errors
    threshold: {metric: error_share, above: 5%, window: 5m}
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("accept", "Errors", "app=chat"), "there is no drift rule 'Errors': there are Meaning"),
        (("accept", "Meaning"), "Meaning needs app=…"),
        (("create", "Meaning", "--from", "1h", "--to", "2h"), "--from has to be before --to"),
    ],
)
def test_what_can_not_be_ordered_is_said_before_kafka_is_asked(tmp_path, words, told):
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "rules.yaml").write_text(RULE, encoding="utf-8")
    said = commands.said(tmp_path, "drift", "baseline", *words, brokers="localhost:1")
    assert said.code == 2
    assert told in said.text
