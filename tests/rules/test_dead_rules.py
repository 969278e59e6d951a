"""Rules that would silently never fire, or never mean what they say, are refused, or warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmvitals.errors import RuleError
from llmvitals.rules.engine import load_engine
from panes import PANE

RULE = "groups:\n- name: g\n  rules:\n  - alert: A\n    "
ERRORS = RULE + "threshold: {metric: errors, above: 4, by: [team]}\n    "
BUDGET = RULE + "budget: {limit: 5, per: day, "
WHERE = RULE + "threshold: {metric: calls, above: 4, where: "
NOTIFY = """groups:
- name: g
  labels: {severity: warning, crew: red}
  rules:
  - {alert: AppErrors, threshold: {metric: errors, above: 4, by: [team, provider]}}
  - {alert: ProviderFails, outage: {by: [provider]}}
notify: """


def threshold(fields: str) -> str:
    """A rule of one threshold."""
    return RULE + f"threshold: {{{fields}}}"


REFUSED = {
    # Templates of other tools.
    "a label of Go": (ERRORS + 'annotations: {summary: §"{{ $labels.team }} is slow"}', "write {team}"),
    "a label of Alertmanager": (ERRORS + 'annotations: {summary: §"{{ .Labels.team }}"}', "write {team}"),
    "a value with a filter": (ERRORS + 'annotations: {summary: §"{{ $value | humanize }}"}', "write {value}"),
    "the name of the rule": (ERRORS + 'annotations: {summary: §"{{- $labels.alertname -}}"}', "write {rule}"),
    "Jinja": (ERRORS + 'annotations: {summary: §"{{ team | upper }} fails"}', "write {team}"),
    "labels of Jinja": (ERRORS + 'annotations: {summary: §"{{ labels.team }} fails"}', "write {team}"),
    "a loop": (ERRORS + 'annotations: {summary: §"{{ range .Alerts }}x{{end}}"}', "write one of {rule}"),
    "a label that it has not": (ERRORS + 'annotations: {summary: §"{{ $labels.pod }}"}', "write one of {rule}"),
    "in another annotation": (ERRORS + 'annotations: {details: §"{{ $labels.team }}"}', "write {team}"),
    "a bare variable": (ERRORS + "annotations: {summary: §$labels.team is slow}", "write {team}"),
    "a template in a label": (ERRORS + "labels: {crew: §'{{ $labels.team }}'}", "a label is a fixed text"),
    "a name in a label": (ERRORS + "labels: {crew: §'{team}'}", "put the dimension into by"),
    "a misspelt name": (ERRORS + "annotations: {summary: §'{taem} fails'}", "did you mean {team}?"),
    # Annotations.
    **{
        f"annotation {wrong}": (ERRORS + f"annotations: {{{wrong}: §x}}", f"did you mean {right}?")
        for wrong, right in {
            "sumary": "summary", "Summary": "summary", "descripton": "description", "runbook": "runbook_url",
            "runbookurl": "runbook_url", "runbookUrl": "runbook_url",
        }.items()
    },
    # Overrides.
    "one of two dimensions": (BUDGET + "by: [team, model], overrides: {§search: 5}}", "write TEAM/MODEL"),
    "an empty dimension": (BUDGET + "by: [team, model], overrides: {§search/: 5}}", "with unknown where there is none"),
    "what where excludes": (
        BUDGET + "by: [team], where: {team: [search, ads]}, overrides: {§sales: 5}}", "where excludes this team",
    ),
    "what where negates": (
        BUDGET + "by: [app, team], where: {team: {not: ads}}, overrides: {§a/ads: 5}}", "where excludes this team",
    ),
    "a glob of overrides": (BUDGET + "by: [team], overrides: {§'sea*': 5}}", "write a rule of its own with where"),
    # Operators and globs in literals.
    **{
        f"where {value}": (WHERE + f"{{app: §{value!r}}}}}", f"not as a pattern: write {cure}")
        for value, cure in {
            "=~chat.*": "{regex: 'chat.*'}", "!=chat": "{not: chat}", "!~chat.*": "{not: {regex: 'chat.*'}}",
            "=chat": "chat", "chat*": "{regex: 'chat.*'}", "gpt-4.1*": "{regex: 'gpt-4\\.1.*'}", "*": "{regex: '.*'}",
            "chat.*": "{regex: 'chat.*'}", "^chat": "{regex: '^chat'}", "chat|docs": "[chat, docs]",
            "(a|b)c": "{regex: '(a|b)c'}",
        }.items()
    },
    "a glob in a list": (WHERE + "{app: [docs, §'chat*']}}", "write {regex: 'chat.*'}"),
    "a glob in not": (WHERE + "{app: {not: §'chat*'}}}", "write {regex: 'chat.*'}"),
    "the errors of an outage": (RULE + "outage: {errors: §'Time*'}", "write {regex: 'Time.*'}"),
    "a glob as a canary": (RULE + "canary: {on: model, canary: §'gpt-5*'}", "write one value"),
    "a canary that where excludes": (
        RULE + "canary: {on: model, where: {model: {regex: gpt-4.*}}, canary: §gpt-5}", "nothing to compare",
    ),
    "an operator in a label": (ERRORS + "labels: {crew: §'=~red'}", "a label is a fixed text"),
    "a glob in a label": (ERRORS + "labels: {crew: §'re*'}", "a label is a fixed text"),
    "no status": (WHERE + "{status: §failed}}", "no call has 'failed': did you mean error?"),
    "a number as status": (WHERE + "{status: [ok, §'500']}}", "did you mean error?"),
    "a regex of no status": (WHERE + "{status: {regex: §'fail.*'}}}", "it is one of ok, error"),
    "no operation": (WHERE + "{operation: §chats}}", "did you mean chat?"),
    "the errors of good calls": (threshold("metric: error_share, above: 5%, where: {status: §ok}"), "leave status out"),
    "the share among errors": (
        threshold("metric: error_share, above: 5%, where: {error_type: §Timeout}"), "always 100%",
    ),
    "a regression among errors": (RULE + "regression: {metric: error_share, where: {status: §error}}", "always 100%"),
    # Limits out of reach.
    "all of a share": (threshold("metric: error_share, above: §100%"), "never fire: error_share is never above 100 %"),
    "a score beyond its range": (threshold("metric: toxicity_p95, above: §1.5"), "never fire"),
    "the top of a score": (threshold("metric: toxicity_mean, above: §1"), "never fire"),
    "a score below its range": (threshold("metric: toxicity_mean, above: §-0.5"), "always fire"),
    "below nothing": (threshold("metric: errors, below: §0"), "never fire: errors is never below 0"),
    "below no share": (threshold("metric: cached_token_share, below: §0%"), "never fire"),
    "below no time": (threshold("metric: latency_p95, below: §0s"), "never fire"),
    "below every score": (threshold("metric: toxicity_mean, below: §1.2"), "always fire"),
    "a release that never comes": (
        threshold("metric: toxicity_mean, below: 0.5, resolve_above: §1.5"), "never resolve",
    ),
    "another that never comes": (
        threshold("metric: toxicity_mean, above: 0.5, resolve_below: §-0.1"), "never resolve",
    ),
    "fewer than no errors": (threshold("metric: errors, above: §-5"), "write a number: 5"),
    "less than no money": (RULE + "budget: {limit: §-5, per: day}", "write a number of dollars: 5"),
    # Matchers.
    "no severity": (NOTIFY + "{routes: [{match: [§severity=page]}]}", "no severity 'page': did you mean critical?"),
    "no severity of a regex": (NOTIFY + "{routes: [{match: [§'severity=~pages?']}]}", "did you mean critical?"),
    "no kind": (NOTIFY + "{routes: [{match: [§kind=budgets]}]}", "no kind 'budgets': did you mean budget?"),
    "no severity of a source": (
        NOTIFY + "{inhibit: [{source: [§severity=crit], target: [rule=AppErrors]}]}", "did you mean critical?",
    ),
    "a glob in a matcher": (NOTIFY + "{routes: [{match: [§'team=search*']}]}", "write 'team=~search.*'"),
    "a glob in its opposite": (NOTIFY + "{routes: [{match: [§'team!=search*']}]}", "write 'team!~search.*'"),
    "alternatives in a matcher": (NOTIFY + "{routes: [{match: [§'team=a|b']}]}", "write 'team=~a|b'"),
    "an operator the wrong way round": (NOTIFY + "{routes: [{match: [§'team=!a']}]}", "write 'team!=a'"),
}  # fmt: skip

WARNED = {
    "too many parts": (BUDGET + "by: [team, model], overrides: {a/b/c: §5}}", "has 3 parts, and by has 2"),
    "a slash in a team": (BUDGET + "by: [team], overrides: {a/b: §5}}", "unless a value itself has a slash"),
    "a floor above the limit": (BUDGET + "burn_rate: default, floor: §6}", "write less than limit"),
    "a threshold beyond reach": (BUDGET + "thresholds: [80%, §5000%]}", "50 times the limit"),
    "p99 of one call": (threshold("metric: latency_p99, above: 4s, min_calls: §1"), "write min_calls: 100 or more"),
    "p99 by default": (threshold("metric: §latency_p99, above: 4s"), "p99 of 20 calls"),
    "p95": (threshold("metric: latency_p95, above: 4s, min_calls: §19"), "write min_calls: 20 or more"),
    "p90": (threshold("metric: latency_p90, above: 4s, min_calls: §9"), "write min_calls: 10 or more"),
    "p5": (threshold("metric: output_tokens_per_s_p5, below: 4, min_calls: §19"), "write min_calls: 20 or more"),
    "p99 of past hours": (RULE + "regression: {metric: §latency_p99}", "write min_calls: 100 or more"),
    "any time at all": (threshold("metric: latency_p95, above: §0s"), "it would always fire"),
    "a shell's variable": (ERRORS + "annotations: {summary: §'${team} fails'}", "write {team}"),
    "a name in two braces": (ERRORS + 'annotations: {summary: §"{{ team }} fails"}', "in braces, as it is: write {team}"),
    "for less than a pane": (ERRORS + "for: §5s", "a pane is 10s long, so this is 10s"),
    "for one pane and a half": (ERRORS + "keep_firing_for: §15s", "so this is 20s"),
    "no rule": (NOTIFY + "{routes: [{match: [§rule=AppEror]}]}", "no rule 'AppEror': did you mean AppErrors?"),
    "no rule of two": (NOTIFY + "{routes: [{match: [§'rule=~AppErrors|ProvderFails']}]}", "did you mean ProviderFails?"),
    "no severity of two": (NOTIFY + "{routes: [{match: [§'severity=~page|critical']}]}", "did you mean critical?"),
    "all but no severity": (NOTIFY + "{routes: [{match: [§severity!=page]}]}", "did you mean critical?"),
    "no value of a label": (NOTIFY + "{routes: [{match: [§crew=blu]}]}", "no rule has the crew 'blu': write one of red"),
    "equal labels that one side lacks": (
        NOTIFY + "{inhibit: [{source: [rule=ProviderFails], target: [rule=AppErrors], equal: §[provider, team]}]}",
        "it mutes nothing",
    ),
    "a group by what is not there": (
        NOTIFY + "{routes: [{match: [rule=ProviderFails], group_by: [rule, §team]}]}", "no alert that goes here",
    ),
}  # fmt: skip

FINE = {
    "a literal brace": ERRORS + 'annotations: {summary: "{{json}} of {team}"}',
    "annotations of one's own": ERRORS + "annotations: {dashboard: x, title: y, summary_de: z, message: w}",
    "texts as labels": ERRORS + "labels: {crew: 'a|b', eta: ~5 min, note: a=b!}",
    "a model with a slash": BUDGET + "by: [model], overrides: {openai/gpt-5: 5}}",
    "an override of both": BUDGET + "by: [team, model], overrides: {search/gpt-5: 5}}",
    "a star that is meant": WHERE + r"{app: {regex: 'chat\*'}}}",
    "what is negated": WHERE + "{app: {not: {regex: chat.*}}, status: {not: error}}}",
    "a cache that costs": threshold("metric: cache_saving_share, below: 0%"),
    "any error": threshold("metric: errors, above: 0"),
    "copies": threshold("metric: duplicate_share, above: 100%"),
    "a score of one's own": threshold("metric: score.helpful_mean, below: -0.2"),
    "enough calls": threshold("metric: latency_p99, above: 4s, min_calls: 100"),
    "the median": threshold("metric: latency_p50, above: 4s, min_calls: 2"),
    "errors of good calls' opposite": threshold("metric: errors, above: 4, where: {status: error}"),
    "a severity that may come": NOTIFY + "{routes: [{match: [severity=critical], slack: '#a'}]}",
    "a rule by its beginning": NOTIFY + "{routes: [{match: ['rule=~App.*']}]}",
}


def place_of(marked: str) -> str:
    """Line and column of the mark."""
    before = marked.partition("§")[0]
    return f"{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1}"


def write(folder: Path, text: str) -> Path:
    file = folder / "rules.yaml"
    file.write_text(text.replace("§", ""), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_never_be_right_is_refused_with_its_cure(tmp_path, name):
    marked, cure = REFUSED[name]
    file = write(tmp_path, marked)
    with pytest.raises(RuleError) as caught:
        load_engine(tmp_path, PANE)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{file}:{place_of(marked)}: ")
    assert cure in first


@pytest.mark.parametrize("name", WARNED)
def test_what_may_be_meant_is_warned_of(tmp_path, name):
    marked, words = WARNED[name]
    file = write(tmp_path, marked)
    (warning,) = load_engine(tmp_path, PANE).rules.warnings
    assert warning.startswith(f"{file}:{place_of(marked)}: warning: ")
    assert words in warning


@pytest.mark.parametrize("name", FINE)
def test_what_is_right_is_read_without_a_word(tmp_path, name):
    write(tmp_path, FINE[name])
    assert load_engine(tmp_path, PANE).rules.warnings == ()


@pytest.mark.parametrize(
    ("fields", "cure"),
    [
        ("metric: p95_latency, above: 4s", "did you mean latency_p95?"),
        ("metric: error_rate, above: 5%", "did you mean error_share?"),
        ("metric: avg_latency, above: 4s", "did you mean latency_mean?"),
        ("metric: total_cost_usd, above: 4", "did you mean cost?"),
        ("metric: prompt_tokens, above: 4", "did you mean input_tokens?"),
        ("metric: time_to_first_token_p95, above: 4s", "did you mean ttft_p95?"),
        ("metric: errors, above: 4, by: [env]", "did you mean environment?"),
        ("metric: errors, above: 4, filter: {app: a}", "did you mean where?"),
        ("metric: errors, gt: 4", "did you mean above?"),
        ("metric: calls, above: '1,000'", "write a plain number: 1000"),
        ("metric: calls, above: 1,000", "write numbers without commas, such as 1000"),
        ("metric: error_share, above: 50", "write it in per cent: 50%"),
        ("metric: error_share, above: -5%", "write it in per cent: 5%"),
        ("metric: error_share, above: 5 percent", "write it in per cent: 5%"),
        ("metric: latency_p95, above: 4 s", "write 4s"),
        ("metric: latency_p95, above: 4 sec", "write 4s"),
        ("metric: latency_p95, above: 4s, window: 5 minutes", "write 5m"),
        ("metric: latency_p95, above: 4s, window: 1.5h", "write 1h30m"),
        ("metric: cost, above: $500", "write a number of dollars: 500"),
        ("metric: cost, above: '$1,500'", "write a number of dollars: 1500"),
        ("metric: tokens, above: 8k", "write a plain number of tokens: 8000"),
    ],
)
def test_what_is_meant_is_named(tmp_path, fields, cure):
    write(tmp_path, threshold(fields))
    with pytest.raises(RuleError) as caught:
        load_engine(tmp_path, PANE)
    assert str(caught.value).endswith(cure)


def test_each_threshold_of_a_budget_is_corrected(tmp_path):
    file = write(tmp_path, BUDGET + "thresholds: [50, 80, 100]}")
    with pytest.raises(RuleError) as caught:
        load_engine(tmp_path, PANE)
    assert str(caught.value).splitlines() == [
        f"{file}:5:{column}: {share} is no share: write it in per cent: {share}%"
        for column, share in ((47, 50), (51, 80), (55, 100))
    ]


def test_a_rule_that_is_wrong_is_no_reason_to_warn_of_its_routes(tmp_path):
    write(
        tmp_path, NOTIFY.replace("metric: errors", "metric: errrs") + "{routes: [{match: [rule=AppErrors]}]}"
    )
    with pytest.raises(RuleError) as caught:
        load_engine(tmp_path, PANE)
    assert len(caught.value.all) == 1
