"""Rule files: what is right is read, and what is wrong is told with its place and its cure."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llmvitals.errors import RuleError
from llmvitals.record.view import Condition, View
from llmvitals.watch import load_watch
from panes import PANE, watch

SHIPPED = Path(__file__).parent.parent / "alerts"

RULE = "groups:\n- name: g\n  rules:\n  - alert: A\n    "
LATENCY = RULE + "threshold: {metric: latency_p95, above: 4s}\n    "

# § stands right before the place that the error has to name.
WRONG = {
    "typo in the file": ("§grups: []", "unknown key 'grups': did you mean groups?"),
    "no groups": ("§{}", "groups is missing"),
    "a list": ("§- alert: A", "write key: value lines here"),
    "text": ("§hello", "write key: value lines here"),
    "groups no list": ("groups: §{name: g}", "write a list"),
    "group without name": ("groups:\n- §rules: []", "name is missing"),
    "typo in the group": ("groups:\n- name: g\n  rules: []\n  §lables: {}", "did you mean labels?"),
    "rule no mapping": ("groups:\n- name: g\n  rules:\n  - §SlowAnswers", "write key: value lines here"),
    "rule without name": (
        "groups:\n- name: g\n  rules:\n  - §threshold: {metric: errors, above: 4}", "alert is missing",
    ),
    "name no text": ("groups:\n- name: g\n  rules:\n  - {alert: §5, budget: {limit: 5, per: day}}", "write a text"),
    "two of a name": (
        RULE + "budget: {limit: 5, per: day}\n  - alert: §A\n    budget: {limit: 6, per: day}",
        "A is a rule in {file}:4: choose another name",
    ),
    "no condition": ("groups:\n- name: g\n  rules:\n  - §alert: A", "one of budget, threshold"),
    "two conditions": (
        ("groups:\n- name: g\n  rules:\n  - §alert: A\n    budget: {limit: 5, per: day}\n"
        "    threshold: {metric: errors, above: 4}"),
        "one of budget, threshold",
    ),
    "typo in the kind": (RULE + "§treshold: {metric: errors, above: 4}", "did you mean threshold?"),
    "a kind of later": (RULE + "§canary: {dimension: prompt_version}", "comes in a later version: write budget or threshold"),
    "empty condition": (RULE + "budget:§", "write key: value lines here"),
    "unknown metric": (RULE + "threshold: {metric: §latencyp95, above: 4s}", "did you mean latency_p95?"),
    "metric far off": (RULE + "threshold: {metric: §happiness, above: 4}", "write one of calls, errors,"),
    "latency without unit": (RULE + "threshold: {metric: latency_p95, above: §4}", "4 has no unit: write 4s or 4ms"),
    "latency with a wrong unit": (RULE + "threshold: {metric: ttft_p50, above: §4sec}", "such as 30s or 5m"),
    "share as a number": (RULE + "threshold: {metric: error_share, above: §0.2}", "in per cent, such as 20%"),
    "share over all": (RULE + "threshold: {metric: error_share, above: §120%}", "between 0% and 100%"),
    "money as text": (RULE + "threshold: {metric: cost, above: §5$}", "write a number of dollars, such as 500"),
    "tokens as text": (RULE + "threshold: {metric: tokens, above: §8k}", "such as 8000"),
    "NaN": (RULE + "threshold: {metric: errors, above: §.nan}", "is no number"),
    "negative": (RULE + "threshold: {metric: errors, above: §-1}", "is no number"),
    "above and below": (RULE + "§threshold: {metric: errors, above: 4, below: 3}", "write one of above and below"),
    "neither": (RULE + "§threshold: {metric: errors}", "write one of above and below"),
    "release of the other side": (
        RULE + "§threshold: {metric: errors, above: 4, resolve_above: 3}", "above is released by resolve_below",
    ),
    "release over the limit": (
        RULE + "§threshold: {metric: latency_p95, above: 4s, resolve_below: 5s}", "write a lower value",
    ),
    "release under the limit": (
        RULE + "§threshold: {metric: errors, below: 4, resolve_above: 3}", "write a higher value",
    ),
    "too few calls": (
        RULE + "threshold: {metric: calls, below: §4}", "rules of absence come in a later version: leave it out",
    ),
    "too low a rate of calls": (
        RULE + "threshold: {metric: calls_per_s, below: §0.5}", "rules of absence come in a later version: leave it out",
    ),
    "window between panes": (
        RULE + "threshold: {metric: errors, above: 4, window: §65s}", "1m5s is no multiple of 10s: write 1m",
    ),
    "window below a pane": (RULE + "threshold: {metric: errors, above: 4, window: §5s}", "write 10s"),
    "window between minutes": (RULE + "threshold: {metric: errors, above: 4, window: §90m30s}", "write 1h30m"),
    "window over a day": (RULE + "threshold: {metric: errors, above: 4, window: §2d}", "at most 24h"),
    "window as a number": (RULE + "threshold: {metric: errors, above: 4, window: §300}", "such as 30s or 5m"),
    "min_calls of none": (RULE + "threshold: {metric: errors, above: 4, min_calls: §0}", "larger number"),
    "unknown dimension": (RULE + "threshold: {metric: errors, above: 4, by: §[modle]}", "did you mean model?"),
    "a dimension twice": (RULE + "threshold: {metric: errors, above: 4, by: §[app, app]}", "leave one out"),
    "where no mapping": (RULE + "threshold: {metric: errors, above: 4, where: §prod}", "dimension: value"),
    "where of a number": (
        RULE + "threshold: {metric: errors, above: 4, where: §{prompt_version: 3}}", "put it in quotes, such as '3'",
    ),
    "where of nothing": (RULE + "threshold: {metric: errors, above: 4, where: §{app: []}}", "nothing would match"),
    "where of an unknown operator": (
        RULE + "threshold: {metric: errors, above: 4, where: §{app: {like: x}}}", "{not: …} or {regex: …}",
    ),
    "wrong regex": (RULE + "threshold: {metric: errors, above: 4, where: §{app: {regex: 'a('}}}", "the regex is wrong at"),
    "regex that hangs": (
        RULE + "threshold: {metric: errors, above: 4, where: §{app: {regex: '(a+)+b'}}}", "could run for ever",
    ),
    "regex that hangs a little": (
        RULE + "threshold: {metric: errors, above: 4, where: §{app: {regex: 'a*a*a*a*b'}}}", "at most 3 times",
    ),
    "budget of a statistic": (RULE + "budget: {metric: §latency, limit: 5, per: day}", "write one of cost, tokens, calls"),
    "budget of nothing": (RULE + "budget: {limit: §0, per: day}", "write a limit above 0"),
    "budget with a sign": (RULE + "budget: {limit: §$500, per: day}", "write a number of dollars, such as 500"),
    "budget without limit": (RULE + "§budget: {per: day}", "limit is missing"),
    "budget without period": (RULE + "§budget: {limit: 5}", "one of per (hour, day,"),
    "budget with two periods": (RULE + "§budget: {limit: 5, per: day, rolling: 24h}", "one of per (hour, day,"),
    "unknown period": (RULE + "budget: {limit: 5, per: §monthly}", "did you mean month?"),
    "period of a session": (RULE + "budget: {limit: 5, per: §session}", "by: [session] and rolling: 1h"),
    "rolling too far": (RULE + "budget: {limit: 5, rolling: §60d}", "at most 31d"),
    "half tokens": (RULE + "budget: {metric: tokens, limit: §0.5, per: day}", "write a whole number"),
    "unknown zone": (RULE + "budget: {limit: 5, per: day, timezone: §Europe/Berln}", "did you mean Europe/Berlin?"),
    "zone of a rolling one": (RULE + "§budget: {limit: 5, rolling: 24h, timezone: UTC}", "leave timezone out"),
    "overrides of one series": (RULE + "§budget: {limit: 5, per: day, overrides: {a: 3}}", "overrides need by"),
    "override as text": (
        RULE + "budget: {limit: 5, per: day, by: [team], overrides: §{a: lots}}", "write a number of dollars",
    ),
    "thresholds as numbers": (RULE + "budget: {limit: 5, per: day, thresholds: §[0.5, 1]}", "such as 50%"),
    "thresholds falling": (RULE + "budget: {limit: 5, per: day, thresholds: §[80%, 50%]}", "ascending order"),
    "too fine a threshold": (RULE + "budget: {limit: 5, per: day, thresholds: §[50.001%]}", "at most two decimals"),
    "burn rates": (RULE + "budget: {limit: 5, per: day, §burn_rate: default}", "comes in a later version: leave it out"),
    "budget that waits": (RULE + "budget: {limit: 5, per: day}\n    §for: 5m", "a budget takes no for: leave it out"),
    "for without unit": (LATENCY + "for: §30", "such as 30s or 5m"),
    "for over a day": (LATENCY + "for: §25h", "at most 24h"),
    "no_data of later": (LATENCY + "no_data: §alert", "comes in a later version: write ok or keep"),
    "no_data unknown": (LATENCY + "no_data: §maybe", "write ok or keep"),
    "severity unknown": (LATENCY + "labels: §{severity: sev1}", "write one of info, warning, critical"),
    "label no text": (LATENCY + "labels: §{paged: yes}", "put it in quotes"),
    "label with a bad name": (LATENCY + "labels: §{on-call: a}", "letters, digits and _ only"),
    "label named as a dimension": (
        RULE + "threshold: {metric: errors, above: 4, by: [team]}\n    labels: §{team: x}", "name the label otherwise",
    ),
    "unknown name in a text": (LATENCY + 'annotations: {summary: §"{app} is slow"}', "{app} is no name: write one of {rule},"),
    "attribute in a text": (LATENCY + 'annotations: {summary: §"{rule.__class__}"}', "is no name"),
    "format in a text": (LATENCY + 'annotations: {summary: §"{value:>10000000}"}', "write just {value}"),
    "lonely brace": (LATENCY + 'annotations: {summary: §"100 }"}', "write {{ or }}"),
    "runbook no link": (LATENCY + "annotations: §{runbook_url: javascript:x}", "begins with https://"),
    "unknown route": (LATENCY + "notify: §{email: a@b.c}", "write slack"),
    "channel without #": (LATENCY + "notify: §{slack: llm}", "write '#name' in quotes"),
    "a key twice": (LATENCY + "for: 1m\n    §for: 2m", "for stands here twice"),
    "merge key": (RULE + "threshold: {§<<: {metric: errors}, above: 4}", "merge keys (<<) are not read"),
    "no YAML": ("groups: [§", "no YAML"),
    "a tag": ("groups: §!!python/object:os.system [x]", "tags are not read: leave it out"),
    "nested without end": ("groups: " + "[" * 100_000, "nested too deeply"),
    "control character": ("groups: \x00", "no YAML"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_with_its_place_and_its_cure(tmp_path, name):
    marked, cure = WRONG[name]
    before = marked.partition("§")[0]
    file = tmp_path / "rules.yaml"
    file.write_text(marked.replace("§", ""), encoding="utf-8")
    with pytest.raises(RuleError) as caught:
        load_watch(tmp_path, PANE)
    error = caught.value
    assert cure.replace("{file}", str(file)) in str(error)
    assert "\n" not in str(error), "one mistake, one line"
    assert error.file == str(file)
    if "§" in marked:
        assert (error.line, error.column) == (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)


def test_all_mistakes_of_a_folder_are_told_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text(RULE + "threshold: {metric: latency_p59, above: 4s}", encoding="utf-8")
    (tmp_path / "b.yml").write_text(RULE + "budget: {limit: -1, per: dya}", encoding="utf-8")
    with pytest.raises(RuleError) as caught:
        load_watch(tmp_path, PANE)
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
    with pytest.raises(RuleError, match=r"b\.yaml:4:12: A is a rule in .*a\.yaml:4"):
        load_watch(tmp_path, PANE)


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
            load_watch(tmp_path, PANE)
        best = min(best, time.thread_time() - start)
    assert best < 0.05


def test_an_alias_that_repeats_a_little_is_read(tmp_path):
    text = "groups:\n- name: g\n  rules:\n" + "".join(
        f"  - alert: {name}\n    threshold: {{metric: {name}, above: 4, where: {where}}}\n"
        for name, where in (("errors", "&prod {environment: prod}"), ("calls", "*prod"))
    )
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    assert len(load_watch(tmp_path, PANE).views) == 1


def test_a_large_file_is_refused(tmp_path):
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(RuleError, match="larger than 1 MiB: split it"):
        load_watch(tmp_path, PANE)


@pytest.mark.parametrize("folder", [".", "missing"])
def test_a_folder_without_rules_is_fine_and_says_so(tmp_path, folder):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n", encoding="utf-8")
    (tmp_path / "some_test.yaml").write_text("tests: of rules, read elsewhere\n", encoding="utf-8")
    found = load_watch(tmp_path / folder, PANE)
    assert (found.views, found.rules.rules) == ((), ())
    assert found.rules.warnings == (f"No alert rules in {tmp_path / folder}: nothing will be said.",)


def test_a_rule_reads_the_default_view_that_fits(tmp_path):
    found = watch(tmp_path, "alert: A\nthreshold: {metric: errors, above: 4, by: [model, app]}")
    assert found.views == (View("app_model", ("app", "model"), contributors=True),)
    found = watch(tmp_path, "alert: A\nbudget: {limit: 5, per: day, by: [team]}")
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
    found = load_watch(tmp_path, PANE)
    first, second = found.views
    where = (("environment", Condition(frozenset({"dev", "test"}), negate=True)),)
    assert first == View(first.name, ("tags.tier", "app"), where, eager=True, contributors=True, stored=False)
    assert first.name.startswith("rule:app,tags.tier|")
    assert second == View(
        "rule:app,tags.tier", ("app", "tags.tier"), eager=True, contributors=True, stored=False
    )
    assert [rule.name for rule in found.rules.by_view[first.name]] == ["A", "B"]


@pytest.mark.parametrize(
    "regex", [r"search-v[0-9]+", r"(eu|us)-\w+", r"v\d{4}-\d{2}-\d{2}(-rc)?", r"a\)+", r"[)*+]+"]
)
def test_an_ordinary_regex_is_read(tmp_path, regex):
    rule = f"alert: A\nthreshold: {{metric: errors, above: 4, where: {{app: {{regex: '{regex}'}}}}}}"
    assert watch(tmp_path, rule).views[0].where == (("app", Condition(regex=regex)),)


def test_labels_of_the_group_are_of_each_rule(tmp_path):
    text = "groups:\n- name: g\n  labels: {severity: critical, crew: red}\n  rules:\n  - alert: A\n    labels: {crew: blue}\n"
    (tmp_path / "rules.yaml").write_text(text + "    budget: {limit: 5, per: day}\n", encoding="utf-8")
    (rule,) = load_watch(tmp_path, PANE).rules.rules
    assert (rule.severity, rule.labels) == ("critical", {"severity": "critical", "crew": "blue"})


def test_the_rules_that_ship_are_right():
    found = load_watch(SHIPPED, PANE)
    assert {rule.name for rule in found.rules.rules} >= {
        "CompanyDailyBudget", "TeamMonthlyBudget", "RunawaySession",
        "SlowAnswers", "ProviderFails", "ContextStuffing", "UnpricedCalls",
    }  # fmt: skip
    assert found.rules.warnings == ()
