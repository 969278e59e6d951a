"""A canary through the stages as they are: the same wherever merge dies, and however panes close."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frames import alerts, contents, small_pieces
from llmvitals.pipeline import Pipeline
from merge_with_rules import CALLS, changes, disturbed, frames, merging, piped

RULES = """groups:
- name: g
  rules:
  - alert: Worse
    canary: {on: team, by: [], canary: a, control: b, alpha: 50%, metrics: [errors, cost, latency]}
  - alert: Errors
    threshold: {metric: error_share, above: 50%, by: [team], window: 40s, min_calls: 2}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return piped(tmp_path_factory.mktemp("rules"), RULES)


@settings(max_examples=40)
@given(CALLS, st.randoms(use_true_random=False))
def test_wherever_merge_dies_a_canary_is_told_the_same(pipeline, calls, dice):
    records = frames(pipeline, calls, lambda: dice.randint(1, 15))
    straight = merging(pipeline).apply(records)
    with pytest.MonkeyPatch.context() as patch:
        small_pieces(patch)
        heard = disturbed(pipeline, records, dice)
    assert changes(heard) == changes(straight)
    assert contents(heard) == contents(straight)


def test_what_it_is_told_of_has_alerts_and_points(pipeline):
    """Else the law above would be about nothing."""
    calls = [(second, "a" if second % 2 else "b", 5, second % 2 == 1) for second in range(600)]
    heard = merging(pipeline).apply(frames(pipeline, calls, lambda: 7))
    assert [alert.status for alert in alerts(heard) if alert.rule == "Worse"] == ["firing"]
    assert {place[0] for place in contents(heard)} == {"llm_canary"}
