"""Blocks of columns give the points of a plain dictionary that keeps vitals one by one, byte for byte."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any_vitals import bins, maxima, sums
from frames import DAY, FIRST, PANE, SECOND, VIEWS, disturbed, entry, frame, log, small_pieces, stored
from frames import vitals as vitals_of
from llmvitals.errors import ConfigError
from llmvitals.merge import Merge, MergePlan, NoRules, closer
from llmvitals.metrics.columns import CALLS, COUNTS, RARE, TOXICITY
from llmvitals.metrics.registry import stored_metrics
from llmvitals.record.block import Block, PackedBlock
from llmvitals.record.frame import BlockFrame, Frame
from llmvitals.record.log import Logged
from llmvitals.record.point import Point
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_key
from llmvitals.record.vitals import Vitals, merged

WINDOWS = {"10s": 10, "1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}
PANES = 40
PLAN = MergePlan(PANE, {"app": VIEWS["app"]}, buckets=4)


class Said(NamedTuple):
    """What a source said of a series in a pane. version: it says the same of it at one version."""

    source: int
    app: str
    pane: int
    version: int
    vitals: Vitals


SAID = st.lists(
    st.builds(
        Said,
        st.integers(0, 2),
        st.sampled_from(["a", "b", "c", "d", "e"]),
        st.integers(0, PANES - 1),
        st.integers(1, 3),
        st.builds(Vitals, sums, maxima, bins),
    ),
    max_size=20,
    unique_by=lambda one: (one.source, one.app, one.pane, one.version),
)


def block_frame(source: int, version: int, said: list[Said], floor: int) -> BlockFrame:
    """One block with entries of many panes."""
    block = Block(
        "app",
        [series_key("app", (one.app,)) for one in said],
        np.array([FIRST + one.pane for one in said]),
        Rows.of([one.vitals for one in said]),
    )
    header = f"calls/{source}", {"calls": 3}, 0, 1, FIRST + floor, version, PANE
    return BlockFrame(*header, (PackedBlock.of(block),))


def frames_of(said: list[Said], dice: Random) -> list[BlockFrame | Frame]:
    """In any order, some twice, cut anywhere; a source ends a pane when it has nothing more to say of it."""
    floors = [*sorted(dice.choices(range(PANES), k=2)), PANES + 7]
    frames: list[BlockFrame | Frame] = []
    low = 0
    for floor in floors:
        for source in dice.sample(range(3), 3):
            due = [one for one in said if one.source == source and low <= one.pane < floor]
            due += dice.sample(due, dice.randint(0, len(due)))
            dice.shuffle(due)
            while due:
                count = dice.randint(1, len(due))
                for version in sorted({one.version for one in due[:count]}):
                    some = [one for one in due[:count] if one.version == version]
                    frames.append(block_frame(source, version, some, low))
                due = due[count:]
            frames.append(Frame(f"calls/{source}", {"calls": 3}, 0, 1, FIRST + floor, 9, PANE))
        low = floor
    return frames


def points_of(said: list[Said]) -> dict[tuple[str, int, str, str], tuple[dict[str, int], dict[str, float]]]:
    """(window, start, app, measurement) → counts and measures, from vitals one by one."""
    newest: dict[tuple[str, int, int], Said] = {}
    for one in sorted(said, key=lambda one: one.version):
        newest[one.app, one.pane, one.source] = one
    parts: dict[tuple[str, int, str], list[Vitals]] = defaultdict(list)
    for one in newest.values():
        for window, length in WINDOWS.items():
            parts[window, one.pane * 10 // length * length, one.app].append(one.vitals)
    found = {}
    for where, every in parts.items():
        whole = merged(every)
        rare = [names for first, names in RARE.items() if whole.total(first)]
        left_out = {name for names in RARE.values() for name in names} - {n for names in rare for n in names}
        counts = {name: whole.total(name) for name in COUNTS[CALLS] if name not in left_out}
        found[*where, CALLS] = counts, measures_of(CALLS, whole)
        if whole.total("toxicity_count") or whole.total("unscored_calls"):
            of = {"scored_calls": "toxicity_count"}
            counts = {name: whole.total(of.get(name, name)) for name in COUNTS[TOXICITY]}
            found[*where, TOXICITY] = counts, measures_of(TOXICITY, whole)
    return found


def measures_of(measurement: str, vitals: Vitals) -> dict[str, float]:
    found: dict[str, float | None] = {}
    for metric in stored_metrics(measurement):
        if metric.sketch:
            found[metric.field] = vitals.quantile(metric.sketch, metric.q)
        elif metric.top:
            counted = vitals.total(metric.counted)
            found[metric.field] = vitals.total(metric.top) / metric.per if counted else None
        else:
            found[metric.field] = metric.of(vitals.total)
    return {field: value for field, value in found.items() if value is not None}


def packed(found: dict[tuple[str, int, str, str], tuple[object, object]]) -> dict[object, bytes]:
    return {where: msgspec.json.encode(content, order="sorted") for where, content in found.items()}


def told(point: Point) -> tuple[str, int, str, str]:
    start = (point.start - DAY) // SECOND
    return point.tags["window"], start, point.tags["app"], point.measurement


def merge(parts: dict[str, bytes]) -> Merge:
    return Merge(PLAN, shard=0, parts=parts, beginning=0)


@given(SAID, st.randoms(use_true_random=False))
def test_blocks_give_the_points_of_vitals_kept_one_by_one(said: list[Said], dice: Random) -> None:
    stage = merge({})
    out = stage.apply(log(frames_of(said, dice))) + stage.finish()
    got = {told(point): (point.counts, point.measures) for point in stored(out).values()}
    assert packed(got) == packed(points_of(said))
    assert stage.series == 0


@settings(max_examples=40)
@given(SAID, st.randoms(use_true_random=False))
def test_so_do_blocks_that_are_read_between_crashes(said: list[Said], dice: Random) -> None:
    records = log(frames_of(said, dice))
    chance = Random(dice.getrandbits(32))  # there are more pieces than Hypothesis has choices
    with pytest.MonkeyPatch.context() as patch:
        small_pieces(patch)
        patch.setattr(closer, "STRETCH", 12)  # with more pieces it would hardly ever finish a bucket
        out = disturbed(
            records,
            merge,
            lambda: chance.randint(1, 5),
            lambda: chance.choice(["go on"] * 6 + ["checkpoint", "crash", "torn", "restart"]),
        )
    got = {told(point): (point.counts, point.measures) for point in stored(out).values()}
    want = {where: content for where, content in points_of(said).items() if where[0] in ("10s", "1m")}
    assert packed({where: content for where, content in got.items() if where in want}) == packed(want)


class EveryView(NoRules):
    """Reads every view, and says nothing."""

    def reads(self, view: str) -> bool:
        del view
        return True


def test_a_block_whose_columns_do_not_fit_stops_merge_and_names_the_offset() -> None:
    whole = block_frame(0, 1, [Said(0, "a", 0, 1, Vitals())], 0)
    (block,) = whole.blocks
    assert isinstance(block, PackedBlock)
    torn = msgspec.structs.replace(whole, blocks=(msgspec.structs.replace(block, names=[]),))
    with pytest.raises(ConfigError, match=r"offset 0 of shard 0 .* is no frame .*update merge"):
        merge({}).apply([Logged(0, 0, torn.encode())])


@pytest.mark.parametrize("count", [300, 3_000])
def test_early_frames_of_an_open_pane_do_not_pile_up(count: int) -> None:
    """A pane that stays open is sent again with every change; merge keeps the newest of them."""
    plan = MergePlan(PANE, {"team": VIEWS["team"]}, engine=EveryView(), buckets=1)
    stage = Merge(plan, shard=0, parts={}, beginning=0)
    for version in range(1, count + 1):
        early = frame(0, version, entry(0, vitals_of(calls=version), "team", "x"), of=1)
        stage.apply(log([early], stage.next))
    assert len(stage._buckets[0].tables["team"].open) <= 257
    (point,) = stored(stage.apply(log([frame(0, count + 1, floor=1, of=1)], stage.next))).values()
    assert point.counts["calls"] == count
