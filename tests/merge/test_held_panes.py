"""Closed panes about which no rule says anything reach the rule states later, and every answer is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.merge import held_panes
from llmvitals.merge.open_panes import OpenPaneCache
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.point import decode
from llmvitals.rules.engine import RuleEngine
from merge_with_rules import START, Call, event, merging, piped

RULES = """groups:
- name: g
  rules:
  - alert: Hour
    budget: {limit: 10, per: hour, by: [user], thresholds: [50%, 100%]}
  - alert: Minutes
    budget: {limit: 7, rolling: 10m, by: [user], thresholds: [50%, 100%]}
  - alert: Session
    budget: {limit: 6, per: session, by: [session], thresholds: [100%]}
"""
OTHERS = (
    RULES,
    RULES.replace("limit: 10", "limit: 8"),
    RULES.replace("limit: 7", "limit: 9"),
    RULES.replace("rolling: 10m", "rolling: 20m"),
    RULES.replace("- alert: Minutes", "- alert: Tokens").replace("limit: 7", "metric: tokens, limit: 900"),
)
"""The rules from the start, and those that may stand in for them after a restart."""
CALLS = st.lists(
    st.tuples(st.integers(0, 1_800), st.sampled_from("abc"), st.integers(0, 300), st.booleans()),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory) -> list[Pipeline]:
    return [piped(tmp_path_factory.mktemp("rules"), rules) for rules in OTHERS]


def arrival(call: Call) -> int:
    """A call that failed comes late."""
    second, *_, failed = call
    return second + 90 * failed


def frames(pipeline: Pipeline, calls: Sequence[Call], dice: Random) -> list[Logged]:
    """What two partitions, which take turns, say about the calls."""
    events = [
        event(number, call) | {"user": call[1], "session": f"s{call[1]}"}
        for number, call in enumerate(sorted(calls, key=arrival))
    ]
    stages = [
        pipeline.combining("calls", number, parts={}, beginning=0, sources={"calls": 2}) for number in (0, 1)
    ]
    out: list[Message] = []
    taken = [0, 0]
    while any(taken[number] < len(events[number::2]) for number in (0, 1)):
        for number, stage in enumerate(stages):
            some = events[number::2][taken[number] :][: dice.randint(1, 5)]
            logged = [
                Logged(taken[number] + at, START // 1_000 + 4_000_000, json.dumps(each).encode())
                for at, each in enumerate(some)
            ]
            taken[number] += len(some)
            out += stage.apply(logged)
            stage.delivered(stage.mark())
            out += stage.flush()
    for stage in stages:
        out += stage.finish()
    partials = [message for message in out if message.topic is Topic.PARTIALS]
    return [Logged(at, 0, message.value) for at, message in enumerate(partials)]


def life(pipelines: list[Pipeline], records: list[Logged], seed: int) -> tuple[list[bytes], dict[str, bytes]]:
    """The alerts and points of a merge that stops, crashes and gets other rules; its checkpoint at the end."""
    dice, heard, parts = Random(seed), list[Message](), dict[str, bytes]()
    stage, place, ends = merging(pipelines[0]), 0, [dice.randrange(len(records)) for _ in range(2)]
    while place < len(records):
        some = records[place : place + dice.randint(1, 4)]
        for piece in stage.pieces(some):
            heard += piece
            what = dice.randrange(4)
            if what == 0:
                heard += stage.flush()
            elif what == 1:
                parts |= stage.snapshot().parts
        place += len(some)
        if ends and place > ends[-1]:
            ends.pop()
            parts |= stage.snapshot(whole=True).parts if dice.randrange(2) else {}
            stage = merging(dice.choice(pipelines), parts)
            place = stage.next
    said = [message.value or b"" for message in heard if message.topic is Topic.ALERTS]
    points = [point for message in heard if message.topic is Topic.VITALS for point in decode(message.value)]
    return [*said, *sorted(point.encode() for point in points)], parts | stage.snapshot(whole=True).parts


@settings(max_examples=100, deadline=None)
@given(CALLS, st.integers(0, 2**20))
def test_held_panes_change_no_alert_no_point_and_no_checkpoint(pipelines, calls, seed):
    compare(pipelines, calls, seed)


@pytest.mark.parametrize("seed", [56, 95, 103])
def test_late_calls_of_a_series_whose_panes_are_held(pipelines, seed):
    """Its headroom is counted again while they are held: few lives by chance have that."""
    dice = Random(seed)
    calls = [
        (dice.randrange(1_800), dice.choice("abc"), dice.randrange(300), dice.random() < 0.2)
        for _ in range(dice.randint(1, 40))
    ]
    compare(pipelines, calls, seed)


def compare(pipelines: list[Pipeline], calls: Sequence[Call], seed: int) -> None:
    """Compare a life with one in which every pane is evaluated when it closes."""
    records = frames(pipelines[0], calls, Random(seed))
    found = life(pipelines, records, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenPaneCache, "hold", lambda *_: False)
        every = life(pipelines, records, seed)
    assert found == every


def test_far_from_every_limit_no_rule_is_asked_and_its_state_comes_later(pipelines, monkeypatch):
    asked: list[Any] = []
    absorbed: list[Any] = []
    advance, absorb = RuleEngine.advance, RuleEngine.absorb
    monkeypatch.setattr(
        RuleEngine, "advance", lambda *args, **step: asked.append(args) or advance(*args, **step)
    )
    monkeypatch.setattr(
        RuleEngine, "absorb", lambda *args, **step: absorbed.append(args) or absorb(*args, **step)
    )
    monkeypatch.setattr(held_panes, "MOST", 1)
    calls = [(10 * turn, "abc"[turn % 3], 1, False) for turn in range(12)]
    records = frames(pipelines[0], calls, Random(1))
    stage = merging(pipelines[0])
    for record in records[:-2]:
        stage.apply([record])
    assert asked == []
    held = sum(len(panes) for bucket in stage._buckets.values() for panes in bucket.held.values())
    absorbed.clear()
    assert held > 1
    stage.flush()
    assert len(absorbed) == 1
    stage.snapshot(whole=True)
    assert len(absorbed) == held
