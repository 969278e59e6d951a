"""`--rules`, and single files, for `alerts check`, `test` and `backtest`, and for `replay`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import said
from llmvitals.cli import app

SLOW = """groups:
- name: slow
  rules:
  - {alert: Slow, threshold: {metric: latency_p95, above: 4s, by: [app], window: 1m, min_calls: 20}}
"""
FAILS = """groups:
- name: fails
  rules:
  - {alert: Fails, threshold: {metric: errors, above: 3, by: [app], window: 1m}}
notify: {routes: [{match: [rule=Slow], slack: "#slow"}]}
"""
TEST = """tests:
- name: t
  calls: [{at: 0m..10m, every: 2s, app: chat, latency: 8s}]
  expect: [{at: 5m, alerts: [{alert: Slow}]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two rule files and a test."""
    there = tmp_path / "ours"
    there.mkdir()
    (there / "slow.yaml").write_text(SLOW)
    (there / "fails.yaml").write_text(FAILS)
    (there / "slow_test.yaml").write_text(TEST)
    return there


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Calls that are slow, and fail."""
    calls = [
        {"id": str(n), "ts": 1_767_600_000_000 + n * 1_000, "model": "m", "app": "chat", "latency_ms": 8_000,
         "status": "error", "input_tokens": 1, "output_tokens": 1}
        for n in range(300)
    ]  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, calls)))
    return file


def run(*words: object, columns: int = 200) -> tuple[int, str]:
    """The exit code and the output."""
    done = CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": f"{columns}", "NO_COLOR": "1"})
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def checked(*words: object) -> list[str]:
    """The rules that `alerts check` shows."""
    code, out = run("alerts", "check", *words, "--json")
    assert code == 0, out
    return [row["rule"] for row in json.loads(out)["rules"]]


@pytest.mark.parametrize("option", [[], ["--rules"]])
def test_a_folder_or_a_file_is_checked(folder, option):
    assert checked(*option, folder) == ["Fails", "Slow"]
    assert checked(*option, folder / "slow.yaml") == ["Slow"]


def test_several_files_are_checked_at_once(folder):
    assert checked(folder / "fails.yaml", folder / "slow.yaml") == ["Fails", "Slow"]
    assert run("alerts", "check", folder / "slow.yaml", folder / "slow_test.yaml")[1].endswith(
        "1 rule and 1 test, fine\n"
    )


def test_a_file_is_checked_beside_the_others_of_its_folder(folder):
    """Its route names a rule of another file, and a mistake in that one is not told."""
    code, out = run("alerts", "check", folder / "fails.yaml")
    assert code == 0
    assert "warning:" not in out
    (folder / "slow.yaml").write_text(SLOW.replace("app]", "ap]"))
    assert checked(folder / "fails.yaml") == ["Fails"]
    code, out = run("alerts", "check", folder / "slow.yaml")
    assert code != 0
    assert "did you mean app?" in out


def test_only_the_warnings_of_a_file_are_told(folder):
    (folder / "slow.yaml").write_text(SLOW.replace("min_calls: 20", "min_calls: 2"))
    warning = f"{folder / 'slow.yaml'}:4:97: warning: a p95 of 2 calls"
    assert warning in run("alerts", "check", folder / "slow.yaml")[1]
    assert warning in run("alerts", "check", folder)[1]
    assert "warning:" not in run("alerts", "check", folder / "fails.yaml")[1]


def test_a_file_of_tests_is_checked_against_the_rules_beside_it(folder):
    assert run("alerts", "check", folder / "slow_test.yaml") == (0, "1 test, fine\n")
    (folder / "slow_test.yaml").write_text(TEST.replace("alert: Slow", "alert: Slwo"))
    assert "did you mean Slow?" in run("alerts", "check", folder / "slow_test.yaml")[1]


def test_a_place_stands_at_the_beginning_of_the_line(folder):
    (folder / "slow.yaml").write_text(SLOW.replace("app]", "ap]"))
    told = said(folder.parent, "alerts", "check", "ours")
    assert told.code == 2
    assert told.err.splitlines() == ["ours/slow.yaml:4:68: 'ap' is not a dimension: did you mean app?"]


def test_rules_are_named_once(folder):
    assert run("alerts", "check", folder, "--rules", folder)[0] == 2
    assert run("alerts", "test", folder, "--rules", folder)[0] == 2


@pytest.mark.parametrize("command", [["alerts", "check"], ["alerts", "test"], ["alerts", "route"]])
def test_what_is_not_there_or_no_yaml_is_a_wrong_use(folder, command):
    (folder / "notes.txt").write_text("")
    for name in ("gone", "notes.txt"):
        told = said(folder, *command, "--rules", name)
        assert told.code == 2
        assert f"{name} is no f" in told.err


@pytest.mark.parametrize(
    "words", [["ours"], ["--rules", "ours"], ["ours/slow.yaml"], ["--rules", "ours/slow_test.yaml"]]
)
def test_the_tests_of_a_folder_or_a_file_are_run(folder, monkeypatch, words):
    monkeypatch.chdir(folder.parent)
    code, out = run("alerts", "test", *words)
    assert code == 0
    assert "1 tests, 1 passed, 0 failed" in out
    single = words[-1].endswith("slow.yaml")
    assert ("no test asks these rules to fire: Fails" in out) == (not single)


@pytest.mark.parametrize(("name", "rules"), [(".", {"Slow", "Fails"}), ("slow.yaml", {"Slow"})])
def test_calls_are_replayed_and_backtested_with_other_rules(folder, events, name, rules):
    code, out = run("replay", events, "--rules", folder / name, "--json")
    assert (code, {alert["rule"] for alert in json.loads(out)["alerts"]}) == (0, rules)
    code, out = run("alerts", "backtest", "--file", events, "--rules", folder / name, "--json")
    assert code == 0
    assert all(rule in out for rule in rules)
    assert ("Fails" in out) == ("Fails" in rules)


def test_a_narrow_terminal_shows_whole_names(folder, events):
    """On 80 columns `alerts backtest` gave the names of rules one character of width."""
    long = (folder / "slow.yaml").read_text().replace("alert: Slow", "alert: GuardrailBlocksOfSupport")
    (folder / "slow.yaml").write_text(long)
    for test in folder.glob("*_test.yaml"):
        test.unlink()
    for words in (["check", folder], ["backtest", "--file", events, "--rules", folder]):
        code, out = run("alerts", *words, columns=80)
        assert code == 0, out
        assert "GuardrailBlock" in out
        assert "…" not in out
