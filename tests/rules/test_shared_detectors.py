"""Series share their detectors: what an engine says of a series does not depend on the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from llmvitals.record.alert import Alert
from llmvitals.record.point import Point
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine, load_engine
from panes import PANE, alerts, vitals

FIRST = 1_780_272_000_000_000 // PANE
"""A Monday at 00:00 UTC."""
LENGTH = 2_520
"""Panes, 7 hours."""
SERIES = ("a", "b", "unknown")
RULES = """
groups:
- name: g
  rules:
  - alert: Threshold
    threshold: {metric: error_share, above: 20%, by: [app], window: 10m, min_calls: 3}
    for: 2m
    keep_firing_for: 5m
    no_data: no_data
  - {alert: Slow, threshold: {metric: latency_p95, above: 2s, by: [app], min_calls: 2}, no_data: keep}
  - {alert: Absence, absence: {by: [app], window: 10m, min_calls: 1}}
  - {alert: Outage, outage: {by: [app], min_calls: 3}}
  - alert: Budget
    budget: {limit: 40, per: day, by: [app], overrides: {b: 10}, burn_rate: default, forecast: 50%}
  - {alert: Rolling, budget: {limit: 10, rolling: 6h, by: [app]}}
  - {alert: Runaway, runaway: {by: [app], spend: 5, same_tool: 4}}
  - {alert: Regression, regression: {metric: error_share, by: [app], against: days}}
  - {alert: Change, change: {by: [app], false_alarms: 100}}
"""

Panes = dict[int, Vitals]


def engine(folder: Path) -> RuleEngine:
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return load_engine(folder, PANE)


def traffic(dice: Random) -> Panes:
    """Rare calls, and an hour in which they are many, slow and dear, and fail."""
    panes: Panes = {}
    for pane in range(FIRST, FIRST + LENGTH):
        wild = (pane - FIRST) // 360 == 3
        if dice.random() < (0.2 if wild else 0.02):
            tools = {"search#1": (dice.randrange(3), 0, 0)}
            panes[pane] = vitals(
                cost=dice.choice([0.01, 0.2, 1]) if wild else 0.02,
                ms=tuple(dice.lognormvariate(8 if wild else 6, 0.5) for _ in range(dice.randint(1, 4))),
                names={"tool": tools, "user": {dice.choice("xyz"): (1, 10_000, 5)}},
                worst={"cost": ((dice.randrange(99), f"t{pane}"),)},
                errors=int(dice.random() < (0.6 if wild else 0.05)),
            )
            if dice.random() < 0.1:
                quarter = pane // 90 - dice.randrange(3)
                panes[pane] = replace(panes[pane], late={quarter: vitals(cost=1).marked_late()})
    return panes


def advanced(
    rules: RuleEngine, name: str, state: dict[str, Any], closed: list[tuple[int, Vitals]], floor: int
) -> list[Alert | Point]:
    return rules.advance(rules.views[0].name, (name,), state, floor=floor, closed=closed)


def alone(rules: RuleEngine, name: str, panes: Panes, dice: Random) -> tuple[list[bytes], bytes]:
    """What is said of one series, whose state is a checkpoint between calls, with some panes in each call."""
    out: list[Alert | Point] = []
    state: dict[str, Any] = {}
    floor = FIRST
    while floor < FIRST + LENGTH:
        low, floor = floor, min(floor + dice.choice([1, 7, 100, 1_000]), FIRST + LENGTH)
        closed = [(pane, panes[pane]) for pane in range(low, floor) if pane in panes]
        out += advanced(rules, name, state, closed, floor)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    return said(out), packed(state)


def together(rules: RuleEngine, traffics: dict[str, Panes]) -> dict[str, tuple[list[bytes], bytes]]:
    """What is said of each of several series that are evaluated in turn, at each pane with calls or when due."""
    out: dict[str, list[Alert | Point]] = {name: [] for name in traffics}
    states: dict[str, dict[str, Any]] = {name: {} for name in traffics}
    for pane in range(FIRST, FIRST + LENGTH):
        for name, panes in traffics.items():
            closed = [(pane, panes[pane])] if pane in panes else []
            if closed or rules.due(states[name]) <= pane + 1 or pane == FIRST + LENGTH - 1:
                out[name] += advanced(rules, name, states[name], closed, pane + 1)
    return {name: (said(out[name]), packed(states[name])) for name in traffics}


def said(outputs: list[Alert | Point]) -> list[bytes]:
    return sorted(output.encode() for output in outputs)


def packed(state: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode(state, order="sorted")


def test_series_in_turn_are_as_each_alone(tmp_path):
    dice = Random(1)
    traffics = {name: traffic(dice) for name in SERIES}
    found = together(engine(tmp_path), traffics)
    for name, panes in traffics.items():
        assert found[name] == alone(engine(tmp_path), name, panes, dice)
    rules = {Alert.decode(line).rule for lines, _ in found.values() for line in lines if b'"status"' in line}
    assert rules >= {"Threshold", "Slow", "Absence", "Outage", "Budget", "Rolling", "Runaway"}


def test_only_one_series_has_another_limit(tmp_path):
    rules = engine(tmp_path)
    spent = {FIRST: vitals(cost=15)}
    levels = []
    for name in ("a", "b", "a"):
        out = alerts(advanced(rules, name, {}, [*spent.items()], FIRST + 1))
        levels.append([each.level for each in out if each.rule == "Budget" and not each.facet])
    assert levels == [[], ["100%"], []]
