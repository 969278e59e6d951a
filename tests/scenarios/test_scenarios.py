"""The table of scenarios: rules, traffic, and exactly what must be said, to whom, with the values.

Each folder beside this file has rules and tests of them, which run as by `llmvitals alerts test FOLDER`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest

from llmvitals.rules.engine import load_engine
from llmvitals.ruletest import Runner, load_tests
from llmvitals.ruletest.rule_test import RuleTest, RuleTestFile
from llmvitals.settings import Settings
from panes import PANE

FOLDERS: Final = sorted(path.parent for path in Path(__file__).parent.glob("*/rules.yaml"))
WRONG: Final[dict[str, str]] = {}
"""Scenario → what llmvitals does wrong there at present."""
LEAST: Final = 60


@lru_cache
def runner(folder: Path) -> Runner:
    """The runner of a folder's tests."""
    return Runner(Settings(), folder)


def suites(folder: Path) -> list[RuleTestFile]:
    """The files of tests in a folder."""
    return load_tests(folder, [rule.name for rule in load_engine(folder, PANE).rules.rules], PANE)


TABLE: Final = [(suite, test) for folder in FOLDERS for suite in suites(folder) for test in suite.tests]


def named(suite: RuleTestFile, test: RuleTest) -> str:
    """The name of a scenario, with its folder."""
    return f"{suite.path.parent.name}: {test.name}"


def row(suite: RuleTestFile, test: RuleTest) -> object:
    """A scenario as a parameter of pytest."""
    name = named(suite, test)
    marks = [pytest.mark.xfail(strict=True, reason=WRONG[name])] if name in WRONG else []
    return pytest.param(suite, test, id=name, marks=marks)


@pytest.mark.parametrize(("suite", "test"), [row(*each) for each in TABLE])
def test_scenario(suite: RuleTestFile, test: RuleTest) -> None:
    outcome = runner(suite.path.parent).run(suite, test)
    said = [
        f"{suite.path.parent.name}/{suite.path.name}:{failure.line}: {failure.what}\n"
        + "\n".join(f"  {sign} {text}" for sign, text in failure.lines)
        for failure in outcome.failures
    ]
    assert not said, "\n".join([test.name, *said])


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    names = [named(*each) for each in TABLE]
    assert len(names) >= LEAST
    assert len(set(names)) == len(names)
    assert set(names) >= WRONG.keys()
