"""Open panes are passed to the rules only where they can change something, and then the answer is the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.merge import open_panes
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Message, Topic
from llmvitals.rules.engine import RuleEngine
from merge_with_rules import CALLS, frames, merging, piped

RULES = """groups:
- name: g
  rules:
  - alert: Hour
    budget: {limit: 10, per: hour, by: [team], thresholds: [50%, 100%, 150%]}
  - alert: Minutes
    budget: {limit: 4, rolling: 2m, by: [team], thresholds: [50%, 100%]}
  - alert: Tokens
    budget: {metric: tokens, limit: 1500, per: day, by: [team], thresholds: [50%, 100%], verdict: block}
  - alert: Away
    runaway: {by: [team], spend: 2, same_tool: 3, signatures: {calls: 5, at_most: 2}, window: 1m}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return piped(tmp_path_factory.mktemp("rules"), RULES)


def alerts(messages: list[Message]) -> list[bytes]:
    return sorted(message.value or b"" for message in messages if message.topic is Topic.ALERTS)


@settings(max_examples=60)
@given(CALLS, st.randoms(use_true_random=False))
def test_open_panes_that_are_not_read_would_have_changed_nothing(pipeline, calls, dice):
    records = frames(pipeline, calls, lambda: dice.randint(1, 15))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_panes.OpenPaneCache, "matter", lambda *_: True)
        every = merging(pipeline).apply(records)
    assert alerts(merging(pipeline).apply(records)) == alerts(every)


def test_far_from_every_limit_no_rule_is_asked_about_open_panes(tmp_path, monkeypatch):
    pipeline = piped(tmp_path, RULES.replace("same_tool: 3, signatures: {calls: 5, at_most: 2}, ", ""))
    asked: list[object] = []
    advance = RuleEngine.advance

    def noted(self, *args, **options):
        asked.extend(options["opened"])
        return advance(self, *args, **options)

    monkeypatch.setattr(RuleEngine, "advance", noted)
    few = [(10 * turn, "abc"[turn % 3], 1, False) for turn in range(60)]
    merging(pipeline).apply(frames(pipeline, few, lambda: 1))
    assert asked == []
    many = [(10 * turn, "abc"[turn % 3], 100, False) for turn in range(60)]
    merging(pipeline).apply(frames(pipeline, many, lambda: 1))
    assert asked
