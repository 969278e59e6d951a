"""`llmvitals init`: the starter rules of the right size, in a folder of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmvitals.cli import app
from llmvitals.rules.engine import load_engine
from llmvitals.rules.files import rule_files, shipped
from llmvitals.rules.starter_set import starter_set
from panes import PANE


def init(*words: object) -> tuple[int, str]:
    """The exit code and the output, with the error."""
    done = CliRunner().invoke(app, ["init", *map(str, words)], env={"COLUMNS": "200", "NO_COLOR": "1"})
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def events(path: Path, *, calls: int, hours: float) -> Path:
    """A file of calls, and a line that is none."""
    step = hours * 3_600_000 / (calls - 1)
    lines = [json.dumps({"id": str(n), "ts": int(1.7676e12 + n * step), "model": "m"}) for n in range(calls)]
    path.write_text("\n".join(["no call", *lines]))
    return path


@pytest.mark.parametrize(("calls", "source"), [(999, "small"), (1_000, ".")])
def test_the_size_is_chosen_by_the_calls_of_a_day(there, calls, source):
    code, said = init("--calls-per-day", calls)
    assert code == 0, said
    folder = shipped() / source
    ours = sorted(path.name for path in (there / "alerts").iterdir())
    assert ours == sorted(path.name for path in folder.iterdir() if path.suffix == ".yaml")
    assert "notify.yaml" in ours
    assert "budgets_test.yaml" in ours
    for name in ours:
        assert (there / "alerts" / name).read_bytes() == (folder / name).read_bytes()
    assert (
        f"{len(ours)} files of the {'small' if calls < 1_000 else 'large'} starter set are in alerts" in said
    )
    assert "llmvitals alerts check alerts" in said
    assert "LLMVITALS_ALERTS" not in said
    checked = CliRunner().invoke(app, ["alerts", "check"])
    assert checked.exit_code == 0, checked.output


def test_another_folder_has_to_be_told_to_workers(there):
    code, said = init(there / "deep" / "rules", "--calls-per-day", 20_000)
    assert code == 0, said
    assert f"LLMVITALS_ALERTS={there / 'deep' / 'rules'}" in said
    assert (there / "deep" / "rules" / "errors.yaml").is_file()


def test_rules_that_are_there_are_not_replaced_unless_one_says_so(there):
    (there / "alerts").mkdir()
    mine = there / "alerts" / "errors.yaml"
    mine.write_text("groups: []\n")
    code, said = init("--calls-per-day", 500)
    assert code != 0
    assert "alerts has rules already (errors.yaml): nothing was written" in said
    assert [path.name for path in (there / "alerts").iterdir()] == ["errors.yaml"]
    code, said = init("--calls-per-day", 500, "--force")
    assert code == 0, said
    assert mine.read_bytes() == (shipped() / "small" / "errors.yaml").read_bytes()


@pytest.mark.parametrize(("calls", "hours", "name"), [(1_500, 48, "small"), (1_500, 12, "large")])
def test_traffic_is_measured(there, calls, hours, name):
    code, said = init("--from", events(there / "events.jsonl", calls=calls, hours=hours))
    assert code == 0, said
    assert f"of the {name} starter set" in said
    assert f"{calls * 24 / hours:,.0f} calls a day" in said


def test_a_file_of_an_hour_says_little_of_a_day(there):
    code, said = init("--from", events(there / "events.jsonl", calls=100, hours=1))
    assert code != 0
    assert "has 100 calls of 1.0 hours, which says little of a day" in said
    assert not (there / "alerts").exists()


def test_where_nobody_can_be_asked_it_says_what_to_write(there):
    code, said = init()
    assert code != 0
    assert "Write --calls-per-day N, or --from FILE" in said
    assert init("--calls-per-day", 5, "--from", "x")[0] == 2


@pytest.mark.parametrize("name", ["canary", "changes", "drift", "notify", "regression"])
def test_what_does_not_depend_on_the_size_is_the_same_in_both_sets(name):
    for file in (f"{name}.yaml", f"{name}_test.yaml"):
        if (shipped() / file).is_file():
            assert (shipped() / "small" / file).read_bytes() == (shipped() / file).read_bytes()


def test_the_small_set_is_not_read_with_the_large_one_beside_it():
    """Rule folders are not read recursively."""
    assert (shipped() / "small").is_dir()
    assert {path.parent for path in rule_files(shipped())} == {shipped()}
    large, small = (load_engine(starter_set(calls).folder, PANE).rules for calls in (20_000, 500))
    assert [rule.name for rule in large.rules] == [rule.name for rule in small.rules]
    assert large.warnings == small.warnings == ()
