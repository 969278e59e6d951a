"""One battery for every kind of rule: quiet, quick, the same however it is fed, and unhurt by what is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from llmvitals.record.alert import Alert
from llmvitals.record.point import Point
from llmvitals.rules.engine import RuleEngine
from llmvitals.rules.kinds import KINDS
from panes import alerts, points, rule_engine, rule_outputs
from subjects import NEVER, SUBJECTS, Panes, Subject

PARAMETRIZED = pytest.mark.parametrize("name", SUBJECTS)


def rng(name: str, number: int) -> np.random.Generator:
    return np.random.default_rng([number, *name.encode()])


@cache
def changed(name: str) -> Panes:
    """Noise, and then what the rule is there to find, for as long as it may take and half of that."""
    subject = SUBJECTS[name]
    return subject.traffic(rng(name, 1), subject.step + subject.delay * 3 // 2, subject.step)


@cache
def noise(name: str) -> Panes:
    return SUBJECTS[name].traffic(rng(name, 2), SUBJECTS[name].quiet, NEVER)


def watched(subject: Subject, folder: Path) -> RuleEngine:
    return rule_engine(folder, subject.rule, subject.micros)


Said = tuple[list[Alert], list[Point]]


def heard(subject: Subject, folder: Path, panes: Panes, end: int, **how) -> Said:
    """All alerts and points of panes up to `end` panes after the first."""
    found = rule_outputs(watched(subject, folder), panes, subject.first + end, series=subject.series, **how)
    return alerts(found), points(found)


def fired(found: Said) -> list[Alert]:
    return [alert for alert in found[0] if alert.status == "firing"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Callable[[str], Said]:
    """What is said of a change that comes in one piece."""

    @cache
    def found(name: str) -> Said:
        subject = SUBJECTS[name]
        return heard(subject, tmp_path_factory.mktemp("rules"), changed(name), length(subject))

    return found


def length(subject: Subject) -> int:
    return subject.step + subject.delay * 3 // 2


def cuts(name: str, number: int) -> list[int]:
    """Moments at which a call ends: half of them anywhere, half right after each other."""
    subject = SUBJECTS[name]
    at = rng(name, number).integers(0, length(subject), 40).tolist()
    near = range(subject.step, subject.step + min(subject.delay, 40))
    return sorted({subject.first + each for each in (*at, *near)})


def test_every_kind_is_tried(tmp_path):
    tried = set()
    for number, subject in enumerate(SUBJECTS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        tried |= {rule.condition.kind for rule in watched(subject, folder).rules.rules}
    assert tried == set(KINDS)


@PARAMETRIZED
def test_it_is_quiet_on_noise(name, tmp_path):
    subject = SUBJECTS[name]
    assert len(fired(heard(subject, tmp_path, noise(name), subject.quiet))) <= subject.alarms


@PARAMETRIZED
def test_it_finds_a_step_in_time(name, whole):
    subject, found = SUBJECTS[name], fired(whole(name))
    assert found, "never found"
    late = found[0].at // subject.micros - 1 - subject.first - subject.step
    assert 0 <= late <= subject.delay


@PARAMETRIZED
def test_any_batching_says_the_same(name, tmp_path, whole):
    subject = SUBJECTS[name]
    assert heard(subject, tmp_path, changed(name), length(subject), cuts=cuts(name, 3)) == whole(name)


@PARAMETRIZED
def test_its_state_survives_a_checkpoint(name, tmp_path, whole):
    subject = SUBJECTS[name]
    found = heard(subject, tmp_path, changed(name), length(subject), cuts=cuts(name, 4), packed=True)
    assert found == whole(name)


@PARAMETRIZED
def test_many_panes_that_a_backtest_reads_together_leave_the_same_state(name, tmp_path):
    subject, panes = SUBJECTS[name], changed(name)
    live = watched(subject, tmp_path)
    backtest = RuleEngine(live.rules, subject.micros, bare=True, updates=False)
    states: list[dict] = [{}, {}]
    said: list[list[Alert]] = [[], []]
    some = rng(name, 7).random(len(panes)) < 0.9
    left = [pane for pane, kept in zip(sorted(panes), some, strict=True) if kept]
    for floor in [*cuts(name, 8), subject.first + length(subject)]:
        closed = [(pane, panes[pane]) for pane in left if pane < floor]
        left = left[len(closed) :]
        for engine, state, found in zip((live, backtest), states, said, strict=True):
            view = engine.views[0].name
            found.extend(alerts(engine.advance(view, subject.series, state, floor=floor, closed=closed)))
        seen = [{rule: entry["seen"] for rule, entry in state.get("rules", {}).items()} for state in states]
        assert msgspec.json.encode(seen[0], order="sorted") == msgspec.json.encode(seen[1], order="sorted")
    assert [(one.at, one.status, one.level) for one in said[0]] == [
        (one.at, one.status, one.level) for one in said[1]
    ]


@PARAMETRIZED
def test_missing_panes_are_no_change(name, tmp_path):
    subject, panes = SUBJECTS[name], noise(name)
    kept = rng(name, 5).random(subject.quiet) < 0.7
    low, high = subject.hole
    kept[low:high] = False
    there = {pane: content for pane, content in panes.items() if kept[pane - subject.first]}
    assert len(fired(heard(subject, tmp_path, there, subject.quiet))) <= subject.alarms


@PARAMETRIZED
def test_it_says_nothing_before_it_can_know(name, tmp_path):
    subject = SUBJECTS[name]
    panes = subject.early(rng(name, 6))
    end = max(panes) + 1 - subject.first
    assert fired(heard(subject, tmp_path, panes, end)) == []
