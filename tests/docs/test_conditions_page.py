"""docs/conditions.md: its rules load, it names every metric, and its sentences are those that people read."""

from __future__ import annotations

import re
from pathlib import Path

from llmvitals.metrics.registry import METRICS
from llmvitals.rules.engine import load_engine
from llmvitals.rules.kinds.absence.spec import Absence
from llmvitals.rules.kinds.change.spec import Change
from llmvitals.rules.kinds.outage.spec import Outage
from llmvitals.rules.kinds.runaway.spec import Runaway
from panes import MINUTE, PANE, alerts, rule_engine, vitals

PAGE = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
FIRST = 1_700_006_400_000_000 // PANE


def test_its_rules_load_and_defaults_are_what_it_says(tmp_path):
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"{number}.yaml").write_text(block, encoding="utf-8")
    rules = {rule.name: rule for rule in load_engine(tmp_path, PANE).rules.rules}
    assert list(rules) == ["SlowAnswers", "NotHelpful", "AppSilent", "Runaway", "ProviderFails"]
    assert rules["AppSilent"].condition == Absence(by=("app",))
    runaway = rules["Runaway"].condition
    assert isinstance(runaway, Runaway)
    assert runaway.window == Runaway(spend=5).window
    outage = rules["ProviderFails"].condition
    for name in ("by", "window", "minor", "major", "min_calls"):
        assert getattr(outage, name) == getattr(Outage(), name)
    assert rules["ProviderFails"].no_data == "keep"


def test_it_names_every_metric_once():
    table = PAGE[PAGE.index("| calls |") : PAGE.index("Means, shares")]
    named = [name for name in re.findall(r"`([a-zA-Z0-9_.]+)`", table) if not re.fullmatch(r"\d+s", name)]
    assert sorted(named) == sorted([*METRICS, "score.NAME_mean"])


def test_its_sentences_are_those_that_people_read(tmp_path):
    def said(rule: str, series: tuple[str, ...], *closed, end: int = 0) -> list[str]:
        watched = rule_engine(tmp_path, rule)
        panes = [(FIRST + at, content) for at, content in closed]
        found = watched.advance(
            watched.views[0].name, series, {}, floor=end or panes[-1][0] + 1, closed=panes
        )
        return [alert.summary for alert in alerts(found)]

    def tools(**calls: int):
        return vitals(names={"tool": {name.replace("__", "#"): (n, 0, 0) for name, n in calls.items()}})

    slow = "alert: SlowAnswers\nthreshold: {metric: latency_p95, above: 4s, by: [app, model], min_calls: 50}\nno_data: alert"
    away = "alert: A\nrunaway: {spend: 5, same_tool: 20, signatures: {calls: 60, at_most: 3}}"
    hours = [(at, vitals(calls=50)) for at in range(0, 3 * 60 * MINUTE, 5 * MINUTE)]
    assert re.findall(r"^> (.*)", PAGE, re.MULTILINE) == [
        *said(slow, ("search", "gpt-5"), (0, vitals(ms=(1.0,) * 50)), end=FIRST + 5 * MINUTE + 1),
        *said("alert: A\nabsence: {by: [app]}", ("search",), *hours, end=FIRST + 4 * 60 * MINUTE),
        *said(away, ("s1",), (0, vitals(cost=5))),
        *said(away, ("s1",), (0, tools(search__ab12=20))),
        *said(
            away.replace("same_tool: 20", "same_tool: 32"),
            ("s1",),
            (0, tools(search__ab12=31, open__cd34=29)),
        ),
        *said("alert: A\noutage: {}", ("openai",), (0, vitals(calls=100, errors=25))),
    ]


def test_the_page_of_changes_loads_and_names_the_defaults(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "change.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "rules.yaml").write_text(block, encoding="utf-8")
    (rule,) = load_engine(tmp_path, PANE).rules.rules
    assert rule.condition == Change(by=("app",))
    for field in Change.model_fields:
        assert f"`{field}`" in page
    assert rule.severity == "info"
