"""Rule files: what is right is read, and what is wrong is told with its place and its cure."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llmvitals.errors import RuleError
from llmvitals.record.view import Condition, View
from llmvitals.rules.engine import load_engine
from panes import PANE, rule_engine

SHIPPED = Path(__file__).parents[2] / "alerts"

RULE = "groups:\n- name: g\n  rules:\n  - alert: A\n    "
LATENCY = RULE + "threshold: {metric: latency_p95, above: 4s}\n    "


def test_all_mistakes_of_a_folder_are_told_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text(RULE + "threshold: {metric: latency_p59, above: 4s}", encoding="utf-8")
    (tmp_path / "b.yml").write_text(RULE + "budget: {limit: -1, per: dya}", encoding="utf-8")
    with pytest.raises(RuleError) as caught:
        load_engine(tmp_path, PANE)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"{tmp_path / 'a.yaml'}:5:25",
        f"{tmp_path / 'b.yml'}:5:21",
        f"{tmp_path / 'b.yml'}:5:30",
    ]
    assert (caught.value.line, caught.value.column) == (5, 25)


def test_a_name_is_unique_across_files(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(LATENCY, encoding="utf-8")
    with pytest.raises(RuleError, match=r"b\.yaml:4:12: A is already a rule in .*a\.yaml:4"):
        load_engine(tmp_path, PANE)


@pytest.mark.parametrize("kind", ["aliases", "merges", "scalars"])
def test_a_bomb_is_refused_within_50_ms(tmp_path, kind):
    bombs = {
        "aliases": [
            "a0: &a0 [x, x]",
            *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)),
        ],
        "merges": [
            "a0: &a0 {x: 1}",
            *(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 30)),
        ],
        "scalars": [f"a: {'9' * 5_000}"],
    }
    (tmp_path / "bomb.yaml").write_text("\n".join(bombs[kind]), encoding="utf-8")
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        with pytest.raises(RuleError):
            load_engine(tmp_path, PANE)
        best = min(best, time.thread_time() - start)
    assert best < 0.05


def test_an_alias_that_repeats_a_little_is_read(tmp_path):
    text = "groups:\n- name: g\n  rules:\n" + "".join(
        f"  - alert: {name}\n    threshold: {{metric: {name}, above: 4, where: {where}}}\n"
        for name, where in (("errors", "&prod {environment: prod}"), ("calls", "*prod"))
    )
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    assert len(load_engine(tmp_path, PANE).views) == 1


def test_a_large_file_is_refused(tmp_path):
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(RuleError, match="larger than 1 MiB: split it"):
        load_engine(tmp_path, PANE)


@pytest.mark.parametrize("folder", [".", "missing"])
def test_a_folder_without_rules_is_fine_and_says_so(tmp_path, folder):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n", encoding="utf-8")
    (tmp_path / "some_test.yaml").write_text("tests: of rules, read elsewhere\n", encoding="utf-8")
    found = load_engine(tmp_path / folder, PANE)
    assert (found.views, found.rules.rules) == ((), ())
    assert found.rules.warnings == (f"No alert rules in {tmp_path / folder}: there will be no alerts.",)


def test_a_rule_reads_the_default_view_that_fits(tmp_path):
    found = rule_engine(tmp_path, "alert: A\nthreshold: {metric: errors, above: 4, by: [model, app]}")
    assert found.views == (View("app_model", ("app", "model"), contributors=True),)
    found = rule_engine(tmp_path, "alert: A\nbudget: {limit: 5, per: day, by: [team]}")
    assert found.views == (View("team", ("team",), eager=True, contributors=True),)


def test_rules_share_the_views_of_their_own(tmp_path):
    text = """groups:
- name: g
  rules:
  - alert: A
    threshold: {metric: errors, above: 4, by: [tags.tier, app], where: {environment: {not: [dev, test]}}}
  - alert: B
    budget: {limit: 5, per: day, by: [app, tags.tier], where: {environment: {not: [test, dev]}}}
  - alert: C
    budget: {limit: 5, per: day, by: [app, tags.tier]}
"""
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    found = load_engine(tmp_path, PANE)
    first, second = found.views
    where = (("environment", Condition(frozenset({"dev", "test"}), negate=True)),)
    assert first == View(first.name, ("tags.tier", "app"), where, eager=True, contributors=True, stored=False)
    assert first.name.startswith("rule:app,tags.tier|")
    assert second == View(
        "rule:app,tags.tier", ("app", "tags.tier"), eager=True, contributors=True, stored=False
    )
    assert [rule.name for rule in found.rules.by_view[first.name]] == ["A", "B"]


@pytest.mark.parametrize(
    "regex",
    [
        r"search-v[0-9]+",
        r"(eu|us)-\w+",
        r"v\d{4}-\d{2}-\d{2}(-rc)?",
        r"a\)+",
        r"[)*+]+",
        ".*search.*|.*ads.*|shop-.+",
        "(a|b)?c{2,3}?d{4}",
    ],
)
def test_an_ordinary_regex_is_read(tmp_path, regex):
    rule = f"alert: A\nthreshold: {{metric: errors, above: 4, where: {{app: {{regex: '{regex}'}}}}}}"
    assert rule_engine(tmp_path, rule).views[0].where == (("app", Condition(regex=regex)),)


def test_labels_of_the_group_are_of_each_rule(tmp_path):
    text = "groups:\n- name: g\n  labels: {severity: critical, crew: red}\n  rules:\n  - alert: A\n    labels: {crew: blue}\n"
    (tmp_path / "rules.yaml").write_text(text + "    budget: {limit: 5, per: day}\n", encoding="utf-8")
    (rule,) = load_engine(tmp_path, PANE).rules.rules
    assert (rule.severity, rule.labels) == ("critical", {"severity": "critical", "crew": "blue"})


def test_the_rules_that_ship_are_right():
    found = load_engine(SHIPPED, PANE)
    assert {rule.name for rule in found.rules.rules} >= {
        "CompanyDailyBudget", "TeamMonthlyBudget", "RunawaySession",
        "SlowAnswers", "ProviderFails", "CostPerCallRegression", "UnpricedCalls",
    }  # fmt: skip
    assert found.rules.warnings == ()
