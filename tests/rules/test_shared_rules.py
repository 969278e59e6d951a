"""Who shares a rule's false alarms: the live series of its view, on each of the shards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from frames import PANE, SECOND, VIEWS, entry, frame, log, vitals
from llmvitals.errors import RuleError
from llmvitals.merge import Limits, Merge, MergePlan
from llmvitals.record.view import View
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.rules.shared_rules import SharedRules, shared
from panes import rule_engine

PANES = 86_400 * SECOND // PANE
"""Panes of a day."""
ONE = vitals(calls=1)


class Counting:
    """An engine that notes how many series share a promise."""

    def __init__(self) -> None:
        self.families: list[int] = []

    def reads(self, view: str) -> bool:
        return view == "app"

    def due(self, state: dict[str, Any]) -> int:
        return 2**62

    def resolve_removed(self, *_: Any) -> list[Any]:
        return []

    def finish(self, *_: Any) -> list[Any]:
        return []

    def advance(self, *_: Any, family: int, **__: Any) -> list[Any]:
        self.families.append(family)
        return []


def merge(shards: int = 1, parts: dict[str, bytes] | None = None, views: dict[str, View] = VIEWS) -> Merge:
    plan = MergePlan(PANE, views, limits=Limits(100, 100), engine=Counting(), shards=shards)
    return Merge(plan, shard=0, parts=parts or {}, beginning=0)


def day(number: int, *names: str, arms: tuple[str, ...] = (), shards: int = 1) -> Any:
    """A frame that closes a pane of a day, with a call of each name (and arm)."""
    pane = number * PANES
    keys = [(name, arm) for name in names for arm in arms] or [(name,) for name in names]
    entries = [entry(pane, ONE, "app", *key) for key in keys]
    return replaced(frame(0, number + 1, *entries, floor=pane + 1, of=1), shards)


def replaced(made: Any, shards: int) -> Any:
    return msgspec.structs.replace(made, shards=shards)


def last(stage: Merge) -> int:
    engine: Any = stage._plan.engine
    return engine.families[-1]


def test_the_live_series_share_and_those_that_are_gone_do_not():
    stage = merge()
    days = [("a", "b", "once"), ("a", "b", "c"), ("a", "b", "c"), *[("a",)] * 34]
    families = []
    for number, frame_ in enumerate(log([day(n, *names) for n, names in enumerate(days)])):
        stage.apply([frame_])
        families.append((number, last(stage)))
    seen = dict(families)
    assert seen[1] == 3, "c is new on this day"
    assert seen[3] == 3, "once had calls on one day only, c on two"
    assert seen[36] == 1


def test_a_restart_counts_the_same_series():
    frames = log([day(number, "a", "b", "c") for number in range(4)])
    stage = merge()
    stage.apply(frames[:3])
    restored = merge(parts={**stage.snapshot(whole=True).parts})
    stage.apply(frames)
    restored.apply(frames)
    assert last(stage) == last(restored) == 3


def test_the_arms_of_a_canary_are_one_series():
    views = VIEWS | {"app": View("app", ("app", "model"), split="model")}
    stage = merge(views=views)
    stage.apply(log([day(number, "a", "b", arms=("old", "new", "newest")) for number in range(3)]))
    assert last(stage) == 2


def test_each_shard_has_its_part_of_the_promise():
    stage = merge(shards=8)
    stage.apply(log([day(number, "a", "b", shards=8) for number in range(3)]))
    assert last(stage) == 16


def test_a_rule_with_auto_takes_the_family_and_one_with_a_number_keeps_it(tmp_path):
    text = "alert: A\nregression: {metric: error_share, series: %s}"
    for folder, series in (("auto", "auto"), ("five", 5), ("none", None)):
        (tmp_path / folder).mkdir()
        own = text % series if series else "alert: A\nregression: {metric: error_share}"
        (rule,) = rule_engine(tmp_path / folder, own).rules.rules
        condition = shared(rule, 24).condition
        assert isinstance(condition, Regression)
        assert condition.series == (5 if series == 5 else 24)
    with pytest.raises(RuleError, match="write auto or a whole number"):
        rule_engine(tmp_path / "five", text % "many")


def test_the_detector_asks_for_more_where_more_series_share(tmp_path):
    engine = rule_engine(tmp_path, "alert: A\nregression: {metric: error_share, by: [app]}")
    by_view = engine.rules.by_view
    (view,) = by_view
    of = SharedRules(by_view, {view: ("app",)}, PANE)
    detectors: list[Any] = [of.of(view, family)[0].bind(("a",), None).detector for family in (1, 10, 100, 10)]
    levels = [detector.months for detector in detectors]
    assert levels[0] < levels[1] < levels[2]
    assert levels[3] == levels[1]
    assert replace(of.of(view, 10)[0].rule, condition=by_view[view][0].condition) == by_view[view][0]
