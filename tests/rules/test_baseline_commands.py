"""Orders: a reference that is given to a series through the partials, obeyed once wherever merge starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from frames import FIRST, PANE, frame, log, points_of
from llmvitals.errors import ConfigError
from llmvitals.merge import Merge, MergePlan
from llmvitals.record.frame import BaselineCommand, Entry, Frame, decode
from llmvitals.record.log import Logged
from llmvitals.record.point import Point
from llmvitals.record.series import series_key
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import load_engine
from llmvitals.rules.kinds.drift.baseline import reference_of
from llmvitals.sketch.counters import SUM, SUMS
from llmvitals.sketch.moments import Moments
from llmvitals.sketch.random_features import space

RULES = """
groups:
- name: meaning
  rules:
  - alert: Drift
    drift: {by: [app], learn: 1h, min_calls: 2}
"""
MINUTES = 90
WORLD = np.random.default_rng(11)
HERE, THERE = WORLD.standard_normal((2, 12))


def pane(minute: int, centre: np.ndarray[Any, Any]) -> Vitals:
    """A pane with 20 calls about something."""
    dice = np.random.default_rng(minute)
    vectors = (centre + 0.5 * dice.standard_normal((20, 12))).astype(np.float32)
    images = space(12).images(vectors)
    sample = ((minute, f"t{minute}", images.x[0].astype("<i2").tobytes()),)
    x, z = images.x.sum(axis=0, dtype=np.int64), images.z.sum(axis=0, dtype=np.int64)
    sums = [0] * len(SUMS)
    sums[SUM["calls"]] = sums[SUM["embedded_calls"]] = 20
    return Vitals(tuple(sums), meaning={"m/12": Moments.of(20, x, z, sample)})


@pytest.fixture
def plan(tmp_path: Path) -> MergePlan:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    engine = load_engine(tmp_path, PANE)
    return MergePlan(
        pane_us=PANE, views={view.name: view for view in engine.views}, engine=engine, rounds=256
    )


@pytest.fixture
def view(plan: MergePlan) -> str:
    return next(iter(plan.views))


def minute(number: int, view: str, centre: np.ndarray[Any, Any], app: str = "chat") -> Frame:
    """A minute of calls in its first pane, and the floor after it."""
    at = 6 * number
    entry = Entry(view, (app,), FIRST + at, pane(number, centre).pack())
    return frame(0, number, entry, floor=at + 6, of=1)


def merge(plan: MergePlan, parts: dict[str, bytes] | None = None) -> Merge:
    return Merge(plan, shard=0, parts=parts or {}, beginning=0)


def memory(one: Merge, view: str, app: str = "chat") -> dict[str, Any]:
    key = series_key(view, (app,))
    bucket = one._buckets[one._plan.bucket(key)]
    return bucket.rule_states.get(key, {}).get("rules", {}).get("Drift", {}).get("seen", {})


def statistics(messages: list[Any]) -> list[Point]:
    return [point for point in points_of(messages) if point.measurement == "llm_drift"]


@pytest.fixture
def learned(plan: MergePlan, view: str) -> bytes:
    one = merge(plan)
    one.apply(log(minute(number, view, HERE) for number in range(MINUTES)))
    found = reference_of(memory(one, view))
    assert found is not None, "so many minutes are enough"
    return found


def records(things: list[Frame | BaselineCommand]) -> list[Logged]:
    return [Logged(offset, 0, each.encode()) for offset, each in enumerate(things)]


def test_an_order_is_read_beside_frames(view: str) -> None:
    order = BaselineCommand(view, ("chat",), "Drift", b"x", 7, "ann")
    assert decode(order.encode()) == order
    assert decode(minute(0, view, HERE).encode()) == minute(0, view, HERE)
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode([3, "?"]))


def test_a_reference_from_elsewhere_is_gone_by_from_its_place_in_the_log(plan, view, learned):
    one = merge(plan)
    order = BaselineCommand(view, ("chat",), "Drift", learned, 0)
    said = one.apply(records([minute(0, view, HERE), order, minute(1, view, HERE), minute(2, view, THERE)]))
    before, same, other = (point.measures for point in statistics(said))
    assert "statistic" not in before, "it was learning"
    assert same["statistic"] < other["statistic"]
    assert one.counters["orders"] == 1


def test_to_accept_is_to_learn_anew(plan, view, learned):
    one = merge(plan)
    give, accept = (BaselineCommand(view, ("chat",), "Drift", what, 0) for what in (learned, None))
    said = one.apply(records([give, minute(0, view, THERE), accept, minute(1, view, THERE)]))
    first, second = (point.measures for point in statistics(said))
    assert first["statistic"] > 0
    assert "statistic" not in second
    assert reference_of(memory(one, view)) is None


def test_an_order_is_obeyed_once_wherever_merge_starts_again(plan, view, learned):
    """At every offset a checkpoint, and from every checkpoint on the same is said and remembered."""
    things: list[Frame | BaselineCommand] = [minute(0, view, HERE), minute(1, view, HERE, "search")]
    things += [
        BaselineCommand(view, ("chat",), "Drift", learned, 0),
        minute(2, view, HERE),
        minute(3, view, THERE),
    ]
    things += [
        BaselineCommand(view, ("chat",), "Drift", None, 0),
        minute(4, view, THERE),
        minute(5, view, HERE, "search"),
    ]
    whole = merge(plan)
    want = [[msg.value for msg in whole.apply([record])] for record in records(things)]
    for whole_ in (True, False):
        one, parts = merge(plan), {}
        for offset, record in enumerate(records(things)):
            assert [msg.value for msg in one.apply([record])] == want[offset]
            if offset % 3 < 2:  # so that buckets wait for their turn
                continue
            snapshot = one.snapshot(whole=whole_)
            parts |= snapshot.parts
            heir = merge(plan, dict(parts))
            heir.apply(records(things)[heir.next : one.next])  # Kafka has the points of these
            rest = [[msg.value for msg in heir.apply([later])] for later in records(things)[one.next :]]
            assert rest == want[one.next :]
            assert memory(heir, view) == memory(whole, view)
            assert memory(heir, view, "search") == memory(whole, view, "search")


@pytest.mark.parametrize(
    "change",
    [{"rule": "Other"}, {"view": "nowhere"}, {"memory": b"nonsense"}, {"series": ("a", "b")}],
    ids=lambda change: next(iter(change)),
)
def test_what_can_not_be_obeyed_is_counted_and_changes_nothing(plan, view, learned, change):
    one = merge(plan)
    order = BaselineCommand(view, ("chat",), "Drift", learned, 0)
    one.apply(records([minute(0, view, HERE), order, minute(1, view, HERE)]))
    before = memory(one, view)
    one.apply([Logged(3, 0, msgspec.structs.replace(order, **change).encode())])
    assert memory(one, view) == before
    assert one.counters["orders_refused"] == 1


def test_what_is_neither_frame_nor_order_is_told(plan):
    with pytest.raises(ConfigError, match="only combine may write"):
        merge(plan).apply([Logged(0, 0, b"\x93\x03")])


def test_a_rule_that_was_changed_meanwhile_takes_the_order_as_the_new_one(plan, view, learned, tmp_path):
    one = merge(plan)
    one.apply(records([minute(0, view, HERE)]))
    parts = dict(one.snapshot(whole=True).parts)
    (tmp_path / "rules.yaml").write_text(RULES.replace("learn: 1h", "learn: 2h"), encoding="utf-8")
    other = dataclasses.replace(plan, engine=load_engine(tmp_path, PANE))
    heir = merge(other, parts)
    heir.apply([Logged(1, 0, BaselineCommand(view, ("chat",), "Drift", learned, 0).encode())])
    heir.apply([Logged(2, 0, minute(1, view, HERE).encode())])
    assert reference_of(memory(heir, view)) == learned
