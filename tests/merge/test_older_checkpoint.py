"""A checkpoint and frames of the version that packed vitals one by one are read, and nothing is lost.

`data/checkpoint_1.msgpack` was written by that version in the middle of a log: "parts" (the checkpoint), "frames" (the
whole log) and "next" (where the checkpoint was made). The log has two sources and later a third, late calls, panes
that had closed before their source was known, names beyond the limit of a view, and arms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from frames import PANE, VIEWS, contents
from llmvitals.merge import Limits, Merge, MergePlan, NoRules
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.log import Logged
from llmvitals.record.view import View
from llmvitals.window import FOREVER

SAVED = msgspec.msgpack.decode((Path(__file__).parent / "data" / "checkpoint_1.msgpack").read_bytes())
LOG = [Logged(offset, 0, value) for offset, value in enumerate(SAVED["frames"])]
CALLS = {b'["rule","a"]': 124, b'["rule","b"]': 90, b'["rule","c"]': 124, b'["split","chat"]': 285}
"""What the rules of that version had counted in the end."""


class Counting(NoRules):
    """Counts the calls of closed panes."""

    def reads(self, view: str) -> bool:
        return view in ("rule", "split")

    def due(self, state: dict[str, Any]) -> int:
        del state
        return FOREVER

    def advance(self, *step: Any, **panes: Any) -> list[Any]:
        state = step[2]
        state["n"] = state.get("n", 0) + sum(vitals.total("calls") for _, vitals in panes["closed"])
        return []


def merge(parts: dict[str, bytes]) -> Merge:
    views = VIEWS | {"split": View("split", ("app", "v"), stored=False, split=True)}
    plan = MergePlan(PANE, views, engine=Counting(), limits=Limits(8, 100))
    return Merge(plan, shard=0, parts=dict(parts), beginning=0)


def counted(stage: Merge) -> dict[bytes, int]:
    states = [bucket.rule_states for bucket in stage._buckets.values()]
    return {key: state["n"] for found in states for key, state in found.items()}


def test_a_merge_that_goes_on_from_it_says_what_an_undisturbed_one_says() -> None:
    whole = merge({})
    want = contents(whole.apply(LOG) + whole.finish())
    before = merge({}).apply(LOG[: SAVED["next"]])
    stage = merge(SAVED["parts"])
    assert 0 < stage.next <= SAVED["next"]
    after = stage.apply(LOG[stage.next :]) + stage.finish()
    assert contents(before + after) == want
    assert len(want) == 197
    assert counted(stage) == counted(whole) == CALLS


def test_the_next_checkpoint_is_of_this_version_with_the_buckets_of_that_one() -> None:
    stage = merge(SAVED["parts"])
    stage.apply(LOG[stage.next : -2])
    parts = SAVED["parts"] | stage.snapshot(whole=True).parts
    assert msgspec.msgpack.decode(parts[MANIFEST])[0] == 2
    assert msgspec.msgpack.decode(parts[MANIFEST])[3] == 256
    again = merge(parts)
    assert contents(again.apply(LOG[again.next :]) + again.finish()) == contents(
        stage.apply(LOG[-2:]) + stage.finish()
    )
    assert counted(again) == CALLS
