"""`llmvitals alerts test` and `check`: what passes, what a failure says, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmvitals import ruletest
from llmvitals.backtest.replay import replay_lines
from llmvitals.cli import app, main
from llmvitals.rules.engine import load_engine
from llmvitals.ruletest import Runner, load_tests, run
from llmvitals.settings import Settings
from llmvitals.window import SECOND
from panes import PANE

SHIPPED = Path(__file__).parents[2] / "alerts"
RULES = """groups:
- name: g
  rules:
  - alert: Slow
    threshold: {metric: latency_p95, above: 4s, by: [app], window: 1m, min_calls: 5}
    annotations: {summary: "{app} takes {value}"}
  - alert: Spent
    budget: {metric: cost, limit: 10, per: day, by: [team], timezone: Europe/Berlin, thresholds: [50%, 100%]}
"""
SLOW = "  calls:\n  - {at: 0m..10m, every: 5s, app: chat, latency: 8s}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def tried(folder: Path, tests: str, *flags: str) -> tuple[int, str]:
    """The exit code of `alerts test`, and what it says."""
    (folder / "rules_test.yaml").write_text("tests:\n" + tests)
    done = CliRunner().invoke(app, ["alerts", "test", str(folder), *flags])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_what_is_as_asked_for_passes(folder):
    code, said = tried(
        folder,
        "- name: slow\n" + SLOW + "  expect:\n"
        '  - {at: 5m, alerts: [{alert: Slow, labels: {app: chat}, summary: "chat takes 8 s"}]}\n'
        "  - {at: 20m, alerts: [{alert: Slow, status: resolved}]}\n  - {at: 0m, alerts: []}\n  - {never: Spent}\n",
    )
    assert code == 0
    assert "ok    rules_test.yaml: slow" in said
    assert "1 tests, 1 passed, 0 failed" in said
    assert "no test asks these rules to fire: Spent" in said


def test_a_failure_says_what_was_asked_for_and_what_is(folder):
    code, said = tried(
        folder,
        "- name: slow\n" + SLOW + "  expect:\n"
        '  - {at: 5m, alerts: [{alert: Slow, labels: {app: search}, summary: "search takes 8 s"}]}\n',
    )
    assert code == 1
    assert f"FAIL  {folder}/rules_test.yaml:2: slow" in said
    assert "line 6: at 5m (2026-01-05 00:05:00 UTC)" in said
    assert '- Slow firing {app=search} summary: "search takes 8 s"' in said
    assert '+ Slow firing {app=chat} summary: "chat takes 8 s"' in said


def test_an_alert_that_nobody_asked_for_fails(folder):
    code, said = tried(folder, "- name: t\n" + SLOW + "  expect: [{at: 5m, alerts: []}]\n")
    assert code == 1
    assert '+ Slow firing {app=chat} summary: "chat takes 8 s"' in said


def test_an_alert_that_is_missing_fails(folder):
    calls = "  calls: [{at: 0m..10m, every: 5s, latency: 1s}]\n"
    code, said = tried(folder, f"- name: t\n{calls}  expect: [{{at: 5m, alerts: [{{alert: Slow}}]}}]\n")
    assert (code, "- Slow firing" in said, "+ " in said) == (1, True, False)


def test_never_means_at_no_time(folder):
    code, said = tried(folder, "- name: t\n" + SLOW + "  expect: [{never: [Spent, Slow]}]\n")
    assert code == 1
    assert "Slow must never fire" in said
    assert '+ at 30s: Slow firing {app=chat} summary: "chat takes 8 s"' in said


def test_a_time_includes_what_happens_then(folder):
    expect = "[{at: 29s, alerts: []}, {at: 30s, alerts: [{alert: Slow}]}]"
    assert tried(folder, "- name: t\n" + SLOW + f"  expect: {expect}\n")[0] == 0


def test_only_some_rules_are_looked_at(folder):
    code, _ = tried(folder, "- name: t\n  only: [Spent]\n" + SLOW + "  expect: [{at: 5m, alerts: []}]\n")
    assert code == 0


def test_two_alerts_need_two_that_fit(folder):
    calls = "  calls: [{at: 0m..10m, every: 5s, app: [a, b], latency: 8s}]\n"
    both = "{at: 5m, alerts: [{alert: Slow}, {alert: Slow, labels: {app: a}}]}"
    code, _ = tried(folder, f"- name: t\n{calls}  expect: [{both}]\n")
    assert code == 0
    code, said = tried(folder, f"- name: t\n{calls}  expect: [{{at: 5m, alerts: [{{alert: Slow}}]}}]\n")
    assert (code, said.count("+ Slow")) == (1, 1)


def test_a_test_sets_its_own_date(folder):
    calls = "  calls: [{at: 1m, team: red, cost: 6}]\n"
    day = "{at: 24h30m, alerts: [{alert: Spent, labels: {team: red}, level: 50%}]}, {at: 25h1m, alerts: []}"
    code, said = tried(
        folder, f"- name: 25 hours\n  start: 2026-10-25T00:00:00+02:00\n{calls}  expect: [{day}]\n"
    )
    assert code == 0, said


def test_a_name_picks_tests(folder):
    tests = "".join(
        f"- name: {name}\n{SLOW}  expect: [{{never: {rule}}}]\n"
        for name, rule in (("good one", "Spent"), ("bad one", "Slow"))
    )
    assert tried(folder, tests)[0] == 1
    code, said = tried(folder, tests, "--run", "GOOD")
    assert (code, "1 tests, 1 passed" in said) == (0, True)
    code, said = tried(folder, tests, "--run", "gone")
    assert (code, "no test has 'gone' in its name" in said) == (1, True)


def test_coverage_can_be_demanded(folder):
    tests = "- name: t\n" + SLOW + "  expect: [{at: 5m, alerts: [{alert: Slow}]}]\n"
    assert tried(folder, tests)[0] == 0
    code, said = tried(folder, tests, "--require-coverage")
    assert (code, "no test asks these rules to fire: Spent" in said) == (1, True)


def test_coverage_that_is_demanded_is_named_also_where_tests_are_picked(folder):
    tests = "- name: t\n" + SLOW + "  expect: [{at: 5m, alerts: [{alert: Slow}]}]\n"
    code, said = tried(folder, tests, "--run", "t", "--require-coverage")
    assert (code, "no test asks these rules to fire: Spent" in said) == (1, True)


@pytest.mark.parametrize("command", ["test", "check"])
@pytest.mark.parametrize("name", ["gone", "gone.yaml"])
def test_a_folder_that_is_none_is_a_wrong_use(folder, command, name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["llmvitals", "alerts", command, str(folder / name)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"{name} is no folder: name one with rules in it" in capsys.readouterr().err


def test_a_wrong_file_is_a_wrong_use(folder, monkeypatch, capsys):
    (folder / "rules_test.yaml").write_text("tests: [{name: t, calls: [], expect: [{never: Slw}]}]")
    for command in ("test", "check"):
        monkeypatch.setattr("sys.argv", ["llmvitals", "alerts", command, str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert "rules_test.yaml:1:47: there is no rule 'Slw': did you mean Slow?" in capsys.readouterr().err


def test_a_test_without_any_rule_beside_it_is_told_no_list_of_none(tmp_path, monkeypatch, capsys):
    (tmp_path / "a_test.yaml").write_text("tests: [{name: t, calls: [], expect: [{never: Slow}]}]")
    monkeypatch.setattr("sys.argv", ["llmvitals", "alerts", "check", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.rstrip().endswith("there is no rule 'Slow': there are none here")


def test_files_of_rules_can_be_named(folder):
    (folder / "other.yaml").write_text(RULES.replace("Slow", "AlsoSlow").replace("Spent", "AlsoSpent"))
    tests = "- name: t\n" + SLOW + "  expect: [{at: 5m, alerts: [{alert: Slow}]}]\n"
    assert tried(folder, tests)[0] == 1
    (folder / "rules_test.yaml").write_text("rules: [rules.yaml]\ntests:\n" + tests)
    assert CliRunner().invoke(app, ["alerts", "test", str(folder)]).exit_code == 0


def test_how_many_calls_are_read_at_once_changes_nothing(folder, monkeypatch):
    tests = "- name: t\n  calls:\n  - {at: 0m..20m, every: 3s, app: [a, b, c], team: red, latency: [1s, 9s], cost: 0.03}\n"
    (folder / "t_test.yaml").write_text("tests:\n" + tests + "  expect: [{never: [Slow, Spent]}]\n")
    (suite,) = load_tests(folder, ["Slow", "Spent"], PANE)
    heard = []
    for size in (1, 7, 2_000):
        monkeypatch.setattr(run, "BATCH", size)
        heard.append([one.lines for one in Runner(Settings(), folder).run(suite, suite.tests[0]).failures])
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 2


def test_no_calls_are_a_test_too(folder):
    assert tried(folder, "- name: t\n  calls: []\n  expect: [{at: 5m, alerts: []}]\n")[0] == 0


def test_rules_hear_what_replay_lets_them_hear(folder):
    (folder / "t_test.yaml").write_text(
        "tests:\n- name: t\n  calls:\n"
        "  - {at: 0m..20m, every: 3s, app: [a, b], latency: [1s, 9s, 9s, 1s]}\n"
        "  - {at: 3m..7m, every: 200ms, app: a, latency: 100ms}\n"
        "  expect: [{at: 20m, alerts: []}]\n"
    )
    (suite,) = load_tests(folder, ["Slow", "Spent"], PANE)
    case = suite.tests[0]
    settings = Settings(alerts=folder)
    lines = [event for _, event in run.events(case)]
    told = [
        (alert["status"], alert["labels"], alert["at"], alert["summary"])
        for alert in replay_lines(lines, settings)["alerts"]
    ]
    heard = [
        (alert.status, alert.labels, alert.at, alert.summary)
        for alert in Runner(settings, folder).alerts(suite, case)
        if alert.at <= case.start + 20 * 60 * SECOND and not alert.update
    ]
    assert len(told) >= 3
    assert heard == told


def test_check_shows_each_rule_and_where_it_goes(folder):
    (folder / "notify.yaml").write_text(
        'notify:\n  slack: "#all"\n  routes:\n  - {match: [team=red], slack: "#red"}\n  - {match: [rule=Slow], slack: "#slow"}\n'
    )
    done = CliRunner().invoke(app, ["alerts", "check", str(folder), "--json"])
    assert done.exit_code == 0
    rows = json.loads(done.stdout)["rules"]
    assert [list(row.values()) for row in rows] == [
        ["Slow", "threshold", "latency_p95 over 1m", "app", "warning", "#slow"],
        ["Spent", "budget", "cost over day", "team", "warning", '#red if team="red", else #all'],
    ]
    shown = CliRunner().invoke(app, ["alerts", "check", str(folder)]).stdout
    assert "2 rules, fine" in shown


def test_check_shows_brackets_as_they_are(folder):
    (folder / "[old] notify.yaml").write_text(
        'notify:\n  routes:\n  - {match: ["team=~[a-z]+"], slack: "#teams"}\n  - {match: [rule=Gone], slack: "#x"}\n'
    )
    shown = CliRunner().invoke(app, ["alerts", "check", str(folder)]).stdout
    assert '#teams if team=~"[a-z]+"' in shown
    assert "[old] notify.yaml:4:" in shown.replace("\n", "")


def test_check_cuts_no_name_on_a_narrow_terminal(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    (folder / "rules.yaml").write_text(
        RULES.replace("latency_p95", "input_tokens_per_call_mean").replace("4s", "4")
    )
    shown = CliRunner().invoke(app, ["alerts", "check", str(folder)]).stdout
    assert "…" not in shown


@pytest.mark.parametrize("folder", [SHIPPED, SHIPPED / "small"], ids=["large", "small"])
def test_the_starter_set_passes_its_tests(folder):
    names = [rule.name for rule in load_engine(folder, PANE).rules.rules]
    suites = ruletest.load_tests(folder, names, PANE)
    runner = Runner(Settings(), folder)
    failed = {
        case.name: outcome.failures
        for suite in suites
        for case in suite.tests
        if (outcome := runner.run(suite, case)).failures
    }
    assert failed == {}
    cases = [case for suite in suites for case in suite.tests]
    assert {rule for case in cases for rule in case.fires} == set(names)
    assert set(names) <= {rule for case in cases for rule in case.quiet(names)}


def test_calls_come_late_with_their_own_time(folder):
    (folder / "t_test.yaml").write_text(
        "tests:\n- name: t\n  calls:\n  - {at: 0m..3m, every: 1m, app: chat}\n"
        "  - {at: 30s, late: 1m, app: slow}\n  - {at: 10s..30s, every: 10s, late: 1h, app: [a, b]}\n"
        "  expect: [{never: Slow}]\n"
    )
    (suite,) = load_tests(folder, ["Slow", "Spent"], PANE)
    case = suite.tests[0]
    came = [
        ((time - case.start) // SECOND, event["ts"] // 1_000 - case.start // SECOND, event["app"])
        for time, event in ((time, json.loads(event)) for time, event in run.events(case))
    ]
    chat = [(second, second, "chat") for second in (0, 60, 120)]
    assert came == sorted([*chat, (90, 30, "slow"), (3610, 10, "a"), (3620, 20, "b")])
    assert case.end == 3630 * SECOND


def test_errors_that_come_late_are_no_errors_now(folder):
    rule = "  - alert: Fails\n    threshold: {metric: error_share, above: 20%, window: 5m, min_calls: 10}\n"
    (folder / "rules.yaml").write_text(RULES + rule)
    calls = (
        "  calls:\n  - {at: 0h..3h, every: 30s}\n  - {at: 1h..1h12m, every: 1m, late: LATE, status: error}\n"
    )
    for late, expect in (("0s", "[{at: 1h10m, alerts: [{alert: Fails}]}]"), ("1h", "[{never: Fails}]")):
        code, said = tried(folder, f"- name: t\n{calls.replace('LATE', late)}  expect: {expect}\n")
        assert code == 0, said
