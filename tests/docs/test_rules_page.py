"""docs/rules.md: each of its examples is read, and its test passes."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import yaml

from llmvitals.metrics.registry import METRICS
from llmvitals.record.view import DIMENSIONS
from llmvitals.rules.engine import load_engine
from llmvitals.rules.schema import rule_schema
from llmvitals.ruletest import Runner, load_tests
from llmvitals.settings import Settings
from panes import PANE

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
RULE, KINDS, NOTIFY, TESTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
OTHERS = """groups:
- name: o
  rules:
  - {alert: ProviderFails, outage: {by: [provider]}}
  - {alert: AppErrors, threshold: {metric: error_share, above: 10%, by: [app, provider]}}
"""


def test_its_rules_load(tmp_path):
    for name, text in (("latency", RULE), ("kinds", KINDS), ("notify", NOTIFY), ("others", OTHERS)):
        (tmp_path / f"{name}.yaml").write_text(text)
    rules = load_engine(tmp_path, PANE).rules
    assert {rule.condition.kind for rule in rules.rules} == {
        "budget", "threshold", "outage", "absence", "runaway",
    }  # fmt: skip
    assert len(rules.routing.routes) == 3
    assert rules.warnings == ()


def test_an_editor_accepts_them():
    for text in (RULE, KINDS, NOTIFY):
        jsonschema.validate(yaml.safe_load(text), rule_schema())


def test_its_test_passes(tmp_path):
    (tmp_path / "latency.yaml").write_text(RULE)
    (tmp_path / "latency_test.yaml").write_text(TESTS)
    (suite,) = load_tests(tmp_path, ["SlowAnswers"], PANE)
    runner = Runner(Settings(), tmp_path)
    assert [runner.run(suite, case).failures for case in suite.tests] == [(), ()]


def test_it_names_what_there_is():
    assert set(DIMENSIONS) <= set(re.findall(r"\w+", PAGE))
    assert {"error_share", "latency_p95"} <= set(METRICS)
