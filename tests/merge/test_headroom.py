"""Open panes are passed to the rules only where they can change something, and then the answer is the same."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import merge_with_rules
from llmvitals.merge import open_panes
from llmvitals.pipeline import Pipeline
from llmvitals.record.log import Message, Topic
from llmvitals.rules.engine import RuleEngine
from merge_with_rules import CALLS, MINUTE, frames, merging, piped

PERIODS = """groups:
- name: g
  rules:
  - alert: Hour
    budget: {limit: 10, per: hour, by: [team], thresholds: [50%, 100%, 150%]}
  - alert: Tokens
    budget: {metric: tokens, limit: 1500, per: day, by: [team], thresholds: [50%, 100%], verdict: block}
"""
RULES = f"""{PERIODS}
  - alert: Minutes
    budget: {{limit: 4, rolling: 2m, by: [team], thresholds: [50%, 100%]}}
  - alert: Away
    runaway: {{by: [team], spend: 2, same_tool: 3, signatures: {{calls: 5, at_most: 2}}, window: 1m}}
"""


@pytest.fixture(scope="module", params=[PERIODS, RULES], ids=["periods", "all"])
def pipeline(tmp_path_factory, request) -> Pipeline:
    return piped(tmp_path_factory.mktemp("rules"), request.param)


def alerts(messages: list[Message]) -> list[bytes]:
    return sorted(message.value or b"" for message in messages if message.topic is Topic.ALERTS)


SPENT = [(second, "a", 100, False) for second in range(220, 260)]
"""With 45 minutes, more than the highest threshold in each of two hours."""


@settings(max_examples=60)
@example(SPENT, 45, Random(1))
@given(CALLS, st.sampled_from([0, 45, 635]), st.randoms(use_true_random=False))
def test_open_panes_that_are_not_read_would_have_changed_nothing(pipeline, calls, minutes, dice):
    """Minutes after 13:11: with 45 an hour begins among the calls, with 635 a day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_with_rules, "START", merge_with_rules.START + minutes * MINUTE)
        records = frames(pipeline, calls, lambda: dice.randint(1, 15))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_panes.OpenPaneCache, "matter", lambda _, __, keys: {*keys})
        every = merging(pipeline).apply(records)
    assert alerts(merging(pipeline).apply(records)) == alerts(every)


@pytest.fixture
def asked(monkeypatch) -> list[object]:
    """The open panes that the rules have looked at."""
    asked: list[object] = []
    advance = RuleEngine.advance

    def noted(self, *args, **options):
        asked.extend(options["opened"])
        return advance(self, *args, **options)

    monkeypatch.setattr(RuleEngine, "advance", noted)
    return asked


def test_far_from_every_limit_no_rule_is_asked_about_open_panes(tmp_path, asked):
    pipeline = piped(tmp_path, RULES.replace("same_tool: 3, signatures: {calls: 5, at_most: 2}, ", ""))
    few = [(10 * turn, "abc"[turn % 3], 1, False) for turn in range(60)]
    merging(pipeline).apply(frames(pipeline, few, lambda: 1))
    assert asked == []
    many = [(10 * turn, "abc"[turn % 3], 100, False) for turn in range(60)]
    merging(pipeline).apply(frames(pipeline, many, lambda: 1))
    assert asked


def test_after_its_last_threshold_a_budget_is_asked_no_more_until_the_next_period(tmp_path, asked):
    """However much is spent: what the open panes hold here is twice the limit."""
    pipeline = piped(tmp_path, PERIODS)
    over = [(second, "a", 100, False) for second in range(20)]
    records = frames(pipeline, over, lambda: 1)
    stage = merging(pipeline)
    stage.apply(records[:-2])  # up to the end, with which all panes close
    told = len(asked)
    more = [(second, "a", 100, False) for second in range(40)]
    merging(pipeline).apply(frames(pipeline, more, lambda: 1)[:-2])
    assert told
    assert asked[told:] == asked[:told]
