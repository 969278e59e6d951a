"""Frames and checkpoints of versions with fewer sums are read, and add up with newer ones."""

from __future__ import annotations

import msgspec

from frames import FIRST, PANE, VIEWS, entry, frame, log, stored, vitals
from llmvitals.merge import Merge, MergePlan
from llmvitals.record.frame import Entry

OLDER = 60
"""The sums of the version before unmetered calls and outcomes."""


def test_a_frame_and_a_checkpoint_of_fewer_sums_add_up_with_a_newer_frame() -> None:
    sums = vitals(calls=3, cost_nano=9, stopped_calls=1).sums[:OLDER]
    older = Entry("all", (), FIRST, msgspec.msgpack.encode((sums, (0,) * 4, b"", b"", {}, {}, {}, {})))
    before = Merge(MergePlan(PANE, VIEWS), shard=0, parts={}, beginning=0)
    before.apply(log([frame(0, 1, older, floor=1)]))
    parts = before.snapshot(whole=True).parts
    stage = Merge(MergePlan(PANE, VIEWS), shard=0, parts=parts, beginning=0)
    newer = vitals(calls=1, outcomes=2, unmetered_calls=1, estimated_calls=1, estimated_high_nano=7)
    said = stage.apply(log([frame(1, 1, entry(0, newer), floor=1)], 1)) + stage.finish()
    (pane,) = [point for point in stored(said).values() if point.tags == {"view": "all", "window": "10s"}]
    wanted = ("calls", "cost_nano", "stopped_calls", "outcomes", "unmetered_calls", "estimated_high_nano")
    assert {name: pane.counts[name] for name in wanted} == dict(zip(wanted, (4, 9, 1, 2, 1, 7), strict=True))
