"""Tests of rules about meaning, arms, past days and changes: their calls carry what those read."""

from __future__ import annotations

import random
from pathlib import Path

import jsonschema
import pytest
import yaml

from llmvitals.ruletest import Runner, load_tests
from llmvitals.ruletest.schema import rule_test_schema
from llmvitals.settings import Settings
from panes import PANE

RULES = """groups:
- name: g
  rules:
  - alert: Drifts
    drift: {by: [app], learn: 1h, series: 1, false_alarms: 100}
  - alert: Worse
    canary: {on: prompt_version, by: [app]}
  - alert: Usual
    regression: {metric: score.helpful_mean, by: [app], against: days, past: 3, series: 1}
  - alert: Changed
    change: {by: [app], metrics: [score.helpful_mean, toxicity_mean], series: 1}
"""


def vectors(topic: list[float]) -> list[dict[str, object]]:
    """Some vectors about a topic, as a test would list them."""
    dice = random.Random(str(topic))
    return [
        {"model": "m", "vector": [round(dice.gauss(mean, 1), 3) for mean in (*topic, 0, 0, 0, 0)]}
        for _ in range(101)
    ]


CASES = [
    {
        "name": "calls about something else",
        "calls": [
            {"at": "0m..150m", "every": "4s", "app": "chat", "embedding": vectors([0, 3])},
            {"at": "150m..180m", "every": "4s", "app": "chat", "embedding": vectors([3, 0])},
        ],
        "expect": [{"at": "149m", "alerts": []}, {"at": "179m", "alerts": [{"alert": "Drifts"}]}],
    },
    {
        "name": "a prompt version that fails",
        "calls": [
            {"at": "0m..120m", "every": "4s", "app": "chat", "prompt_name": "p", "prompt_version": "v1"},
            {
                "at": "60m..120m", "every": "5s", "app": "chat", "prompt_name": "p", "prompt_version": "v2",
                "status": ["ok", "error", "error"],
            },
        ],
        "expect": [
            {"at": "59m", "alerts": []},
            {"at": "119m", "alerts": [{"alert": "Worse", "labels": {"app": "chat"}}]},
        ],
    },
    {
        "name": "scores and toxicity that jump",
        "calls": [
            {
                "at": "0m..60m", "every": "4s", "app": "chat",
                "scores": [{"helpful": 0.8}, {"helpful": 0.9}], "toxicity": [0.01, 0.02, 0.015],
            },
            {
                "at": "60m..80m", "every": "4s", "app": "chat",
                "scores": [{"helpful": 0.3}, {"helpful": 0.4}], "toxicity": [0.2, 0.3, 0.4],
            },
        ],
        "expect": [
            {"at": "59m", "alerts": []},
            {
                "at": "79m",
                "alerts": [{
                    "alert": "Changed", "level": "2 changes",
                    "note": "score helpful 0.85 → 0.349 since 01:00 UTC; toxicity mean 0.015 → 0.3 since 01:00 UTC",
                }],
            },
        ],
    },
    {
        "name": "scores that are not those of the days before",
        "calls": [
            {"at": "0h..97h", "every": "90s", "app": "chat", "scores": [{"helpful": 0.8}, {"helpful": 0.9}]},
            {"at": "97h..109h", "every": "90s", "app": "chat", "scores": [{"helpful": 0.4}, {"helpful": 0.5}]},
        ],
        "only": ["Usual"],
        "expect": [{"at": "96h", "alerts": []}, {"at": "108h", "alerts": [{"alert": "Usual"}]}],
    },
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_each_kind_can_be_tested(tmp_path: Path, case):
    (tmp_path / "rules.yaml").write_text(RULES)
    text = {"tests": [case]}
    (tmp_path / "rules_test.yaml").write_text(yaml.safe_dump(text, allow_unicode=True))
    (suite,) = load_tests(tmp_path, ["Drifts", "Worse", "Usual", "Changed"], PANE)
    (found,) = suite.tests
    assert [one.lines for one in Runner(Settings(), tmp_path).run(suite, found).failures] == []
    jsonschema.Draft202012Validator(rule_test_schema()).validate(text)
