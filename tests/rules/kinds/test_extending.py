"""A kind of condition is one class and one registration: it loads, alerts, backtests, reports and has a schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml
from pydantic import Field

from frames import alerts
from llmvitals.backtest.columns import screen_of
from llmvitals.backtest.evaluator import Evaluator
from llmvitals.errors import RuleError
from llmvitals.incidents.intake import point
from llmvitals.notify.figure import figure
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Unit
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.reading import Reading, Stand
from llmvitals.record.vitals import Vitals
from llmvitals.report.run import report
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.condition.fields import Window
from llmvitals.rules.condition.kind import FixedLimit, Kind, RequiredData
from llmvitals.rules.condition.screening import Screen
from llmvitals.rules.engine import load_engine
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.schema import field_table, rule_schema
from llmvitals.settings import Settings
from llmvitals.store.registry import store_sink
from llmvitals.window import FOREVER, duration_text

SECOND, MINUTE = 1_000_000, 60_000_000
START = 1_780_304_400 * SECOND
"""A full hour."""
RULES = """
groups:
- name: g
  rules:
  - alert: Crowded
    crowd: {most: 15, by: [app]}
"""


class Crowd(Kind):
    """Too many calls in a pane."""

    kind: ClassVar[str] = "crowd"
    measurement: ClassVar[str] = "llm_crowd"
    summary: ClassVar[str] = "{value} calls at once, {limit} are too many: {series}"

    most: int = Field(description="The number of calls that is too many.", ge=1)
    window: Window = Field("10s", validate_default=True)

    @property
    def metric(self) -> str:
        return "calls"

    @property
    def unit(self) -> Unit:
        return "count"

    @property
    def window_text(self) -> str:
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> CrowdDetector:
        return CrowdDetector(self.most, pane)

    @property
    def required_data(self) -> RequiredData:
        return RequiredData(("calls",))

    @property
    def screen(self) -> Screen:
        return Screen(self.window, lambda windows: windows.totals("calls") >= self.most)

    @property
    def fixed_limit(self) -> FixedLimit:
        return FixedLimit("calls", self.most, above=True, window=MINUTE, min_calls=1)


@dataclass(frozen=True, slots=True)
class CrowdDetector(Detector):
    """State: "fired" (the pane) while an alert fires."""

    most: int
    pane: int

    @property
    def shape(self) -> str:
        return f"crowd {self.most} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        calls, at = vitals.total("calls") if vitals else 0, (pane + 1) * self.pane
        if calls >= self.most:
            state["fired"] = pane
            return [Reading(at, "breach", calls, self.most, stands=(Stand(at, {"calls": float(calls)}),))]
        state.clear()
        return [Reading(at, "clear", calls, self.most)]

    def wakes(self, state: dict[str, Any]) -> int:
        return state["fired"] + 1 if state else FOREVER


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A folder with a rule of the kind, which is registered."""
    monkeypatch.setitem(KINDS, "crowd", Crowd)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES)
    return Settings(alerts=tmp_path / "rules", sqlite=tmp_path / "vitals.sqlite", pane="10s")


def calls() -> list[Logged]:
    """One call a second, and five a second in the second minute; the app `quiet` has one call."""
    times = [*range(60), *(60 + number / 5 for number in range(300)), *range(120, 600)]
    lines = [{"app": "chat", "ts": (START + int(time * SECOND)) // 1_000} for time in times]
    lines.append({"app": "quiet", "ts": START // 1_000})
    events = [{"id": f"c{number}", "model": "gpt-5", **line} for number, line in enumerate(lines)]
    return [Logged(number, event["ts"], json.dumps(event).encode()) for number, event in enumerate(events)]


def run(settings: Settings) -> list[Message]:
    """What the stages say of the calls."""
    stages = Pipeline.of(settings, 1, ["calls"]).alone({"calls": 1})
    return [*stages.feed("calls", 0, calls()), *stages.end("calls", 0)]


def test_the_stages_alert(settings: Settings):
    fired, resolved = alerts(run(settings))
    assert (fired.kind, fired.status, fired.labels, fired.at) == (
        "crowd", "firing", {"app": "chat"}, START + 70 * SECOND,
    )  # fmt: skip
    assert fired.summary == "50 calls at once, 15 are too many: app=chat"
    assert figure(fired) == "50 · limit 15"
    assert (resolved.status, resolved.at) == ("resolved", START + 130 * SECOND)


def test_a_backtest_gives_the_same_alerts(settings: Settings):
    trial = Evaluator.of(settings, [settings.alerts], {"calls": 1})
    trial.feed("calls", 0, calls())
    trial.end("calls", 0)
    (rule,) = trial.folders[0].pipeline.engine.rules.rules
    assert screen_of(rule) is not None
    found = [(alert.status, alert.at, alert.value) for alert in trial.folders[0].alerts]
    assert found == [(alert.status, alert.at, alert.value) for alert in alerts(run(settings))]
    assert len(found) == 2


async def test_a_report_compares_its_limit_with_the_past(settings: Settings):
    messages = run(settings)
    changes = [
        point(alert, "firing" if alert.status == "firing" else "resolved") for alert in alerts(messages)
    ]
    vitals = [message for message in messages if message.topic is Topic.VITALS]
    writer = store_sink(settings)
    assert writer is not None
    await writer.start()
    await writer.take(0, [Logged(n, 0, each.value) for n, each in enumerate([*vitals, *changes])])
    found = await report(settings, "1d", clock=lambda: (START + 600 * SECOND) / SECOND)
    await writer.stop()
    (level,) = found.levels
    assert (level.rule, level.limit, level.above, level.why) == ("Crowded", 15, True, "")
    (line,) = found.lines
    assert line.record.fired == 1


def test_its_schema_and_table_come_from_its_model(settings: Settings):
    validator = jsonschema.Draft202012Validator(rule_schema())
    assert validator.is_valid(yaml.safe_load(RULES))
    for wrong in ("{most: 0}", "{mist: 5}", "{most: 5, by: [ape]}", "{most: 5, window: 5}"):
        assert not validator.is_valid(yaml.safe_load(RULES.replace("{most: 15, by: [app]}", wrong)))
    assert not validator.is_valid(yaml.safe_load(RULES + "    for: 5m"))
    assert "| `most` | The number of calls that is too many. | required |" in field_table(Crowd)


def test_its_mistakes_are_reported_at_their_place(settings: Settings):
    path = settings.alerts / "rules.yaml"
    path.write_text(RULES.replace("most: 15", "mist: 15"))
    with pytest.raises(RuleError, match="did you mean most"):
        load_engine(settings.alerts, 10 * SECOND)
    path.write_text(RULES + "    for: 5m")
    with pytest.raises(RuleError, match="a crowd takes no for"):
        load_engine(settings.alerts, 10 * SECOND)
