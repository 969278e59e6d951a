"""The wheel, installed into an empty environment away from the checkout, does what README.md says of it."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from installing import pip, run

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that has nothing but the wheel and what it needs."""
    home = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", home, ROOT, cwd=home)
    (wheel,) = home.glob("*.whl")
    venv.create(home / "venv")
    commands = home / "venv" / "bin"
    # Without a pip of its own, and what is never imported is not compiled: that would be half of the time.
    pip(
        sys.executable, "--python", commands / "python", "install", "--no-compile", f"{wheel}[demo]", cwd=home
    )
    where = run(commands / "python", "-c", "import llmvitals; print(llmvitals.__file__)", cwd=home)
    assert Path(where.stdout.strip()).is_relative_to(home), where
    return commands


def test_the_demo_finds_all_three(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "llmvitals", "demo", "--seconds", "60", "--plain", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = done.stdout[done.stdout.index("What was found") :].split()
    assert (answers.count("yes"), answers.count("no")) == (3, 0), done.stdout
    assert (tmp_path / "llmvitals-demo.db").exists()


def test_the_starter_rules_are_checked_and_tested_and_that_is_said(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "llmvitals", "alerts", "check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules, fine" in done.stdout
    assert "There is no folder alerts here: these are the starter rules" in done.stderr
    tests = run(
        installed / "llmvitals", "alerts", "test", "--run", "a jump over several thresholds", cwd=tmp_path
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "1 tests, 1 passed, 0 failed" in tests.stdout


def test_init_writes_the_rules_of_either_size(installed: Path, tmp_path: Path) -> None:
    for calls, limit in (("500", "limit: 50,"), ("20000", "limit: 1000,")):
        done = run(installed / "llmvitals", "init", calls, "--calls-per-day", calls, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert limit in (tmp_path / calls / "budgets.yaml").read_text()
        assert not (tmp_path / calls / "small").exists()


def test_a_folder_that_was_named_has_to_be_there(installed: Path, tmp_path: Path) -> None:
    named = run(installed / "llmvitals", "alerts", "check", "alrets", cwd=tmp_path)
    setting = run(installed / "llmvitals", "alerts", "check", cwd=tmp_path, LLMVITALS_ALERTS="alrets")
    for done in (named, setting):
        assert (done.returncode, "alrets is no folder" in done.stderr) == (2, True), done.stderr


def test_topics_and_settings_are_shown(installed: Path, tmp_path: Path) -> None:
    topics = run(installed / "llmvitals", "topics", "check", cwd=tmp_path)
    assert topics.returncode == 0, topics.stderr
    assert "llm.vitals.v1" in topics.stdout
    assert "topics, fine" in topics.stdout
    config = run(installed / "llmvitals", "config", "show", cwd=tmp_path)
    assert config.returncode == 0, config.stderr
    assert "topic_prefix" in config.stdout
