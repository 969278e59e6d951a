"""Merge: what of frames comes out as points, and when."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from frames import (
    DAY,
    FIRST,
    PANE,
    SECOND,
    VIEWS,
    calls,
    entry,
    frame,
    late_entry,
    log,
    points_of,
    stored,
    vitals,
)
from llmvitals.errors import ConfigError
from llmvitals.merge import Merge, MergePlan
from llmvitals.merge.bucket import slot_of, summed
from llmvitals.record.frame import Entry, Frame
from llmvitals.record.log import Logged, Topic
from llmvitals.record.vitals import merged
from llmvitals.sketch import quantiles
from llmvitals.window import FOREVER, NEVER, QUARTER_HOUR

PLAN = MergePlan(PANE, VIEWS, contributors=2)
ONE = vitals(calls=1)


def merge(plan: MergePlan = PLAN, **parts: bytes) -> Merge:
    return Merge(plan, shard=0, parts=parts, beginning=0)


# When a pane closes


def test_a_pane_closes_when_every_source_has_passed_it():
    stage = merge()
    assert stage.apply(log([frame(0, 5, entry(0, ONE), floor=1)])) == []
    assert stage.silent == 1
    assert stage.apply(log([frame(1, 9, entry(0, ONE), floor=0)], 1)) == []
    assert calls(stage.apply(log([frame(1, 9, floor=1)], 2))) == {("10s", 0): 2}
    assert stage.watermark == DAY + PANE


def test_a_source_that_never_spoke_holds_up_the_others():
    stage = merge()
    assert stage.apply(log(frame(0, n, entry(n, ONE), floor=n) for n in range(50))) == []
    assert stage.watermark == NEVER


def test_of_each_source_the_greatest_version_counts_in_any_order():
    versions = [(0, 1), (0, 3), (0, 2), (1, 7), (0, 3)]
    for order in itertools.permutations(versions):
        frames = [frame(s, v, entry(0, vitals(calls=v))) for s, v in order]
        out = merge().apply(log([*frames, frame(0, 9, floor=1), frame(1, 9, floor=1)]))
        assert calls(out) == {("10s", 0): 3 + 7}


def test_a_frame_for_a_closed_pane_changes_nothing():
    stage = merge()
    both = [frame(0, 5, entry(0, ONE), floor=1), frame(1, 9, floor=1)]
    stage.apply(log(both))
    late = [frame(0, 99, entry(0, vitals(calls=50)), floor=1), frame(0, 99, floor=6), frame(1, 99, floor=6)]
    assert calls(stage.apply(log(late, 2))) == {("1m", 0): 1, ("5m", 0): 1, ("1h", 0): 1, ("1d", 0): 1}
    assert stage.counters["late"] == 1


def test_a_source_is_not_heard_again_about_panes_below_its_own_floor():
    """Not even while another source holds them open: a zombie may not know of a promise that was made."""
    stage = merge()
    frames = [frame(0, 5, entry(0, ONE)), frame(0, 5, floor=1), frame(0, 6, entry(0, vitals(calls=7)))]
    stage.apply(log(frames))
    assert calls(stage.apply(log([frame(1, 9, floor=1)], 3))) == {("10s", 0): 1}


def test_a_zombies_lower_floor_does_not_lower_the_watermark():
    stage = merge()
    stage.apply(log([frame(0, 5, floor=8), frame(1, 9, floor=7), frame(1, 3, floor=2)]))
    assert stage.watermark == DAY + 7 * PANE


def test_records_before_the_next_offset_are_skipped():
    stage = merge()
    records = log([frame(0, 5, entry(0, ONE), floor=1), frame(1, 9, floor=1)])
    assert len(stage.apply([records[0], records[0], *records])) == 1
    assert stage.apply(records) == []
    assert stage.next == 2


def test_a_new_partition_is_waited_for_and_counts_its_closed_panes_in_the_oldest_open_one():
    stage = merge()
    out = stage.apply(log([frame(0, 5, entry(0, ONE), floor=3), frame(1, 9, floor=3)]))
    grown = [
        frame(0, 6, floor=20, of=3),
        frame(1, 9, floor=20),  # a zombie that knows of two only
        frame(2, 1, entry(0, vitals(calls=10)), entry(1, vitals(calls=100)), of=3),
        frame(2, 2, entry(1, vitals(calls=200)), entry(3, vitals(calls=1_000)), floor=3, of=3),
    ]
    assert stage.apply(log(grown, 2)) == []
    out += stage.apply(log([frame(2, 2, floor=20, of=3)], 6))
    assert calls(out)["10s", 0] == 1
    assert calls(out)["10s", 30] == 10 + 200 + 1_000
    assert calls(out)["1m", 0] == 1_211


OLD = [frame(0, 6, floor=20, of=8), frame(1, 9, floor=20)]
NEW = [
    frame(5, 1, entry(0, vitals(calls=10, late_calls=4)), of=8),
    frame(5, 2, entry(1, vitals(calls=100)), entry(3, vitals(calls=1_000, late_calls=7)), floor=3, of=8),
    frame(7, 1, entry(2, vitals(calls=20)), floor=3, of=8),
]
REST = [frame(source, 9, floor=20, of=8) for source in range(2, 8)]


ORDERS = [
    order for order in itertools.permutations([*OLD, *NEW]) if order.index(NEW[0]) < order.index(NEW[1])
]
"""A source's own frames keep their order."""


@pytest.mark.parametrize("order", ORDERS, ids=range(len(ORDERS)))
@pytest.mark.parametrize("unaware", [False, True])
def test_no_call_is_lost_whichever_frame_is_the_first_of_new_partitions(order, unaware):
    """unaware: the workers of the new partitions know of fewer than they read themselves."""
    stage = merge()
    out = stage.apply(log([frame(0, 5, entry(0, ONE), floor=3), frame(1, 9, floor=3)]))
    grown = [replace(each, sources={"calls": 2}) if unaware and each in NEW else each for each in order]
    out += stage.apply(log([*grown, *REST, *grown], 2))
    assert stage.watermark == DAY + 20 * PANE
    point = {where[2:4]: point for where, point in stored(out).items() if where[0] == "llm_calls"}
    assert {where: each.counts["calls"] for where, each in point.items()} == {
        ("10s", 0): 1, ("10s", 30): 1_130, ("1m", 0): 1_131, ("5m", 0): 1_131, ("1h", 0): 1_131, ("1d", 0): 1_131,
    }  # fmt: skip
    # All of a closed pane's are late, however many of them were late before; of an open pane's those that were.
    assert point["10s", 30].counts["late_calls"] == point["1m", 0].counts["late_calls"] == 10 + 100 + 20 + 7


def test_a_partition_that_nobody_announced_but_by_speaking_is_waited_for():
    stage = merge()
    frames = [frame(0, 5, floor=3), frame(1, 9, floor=3), frame(2, 1, entry(0, vitals(calls=10)))]
    assert stage.apply(log([*frames, frame(0, 6, floor=20), frame(1, 10, floor=20)])) == []
    out = stage.apply(log([frame(2, 2, entry(0, vitals(calls=20)), floor=1), frame(2, 3, floor=20)], 5))
    assert calls(out)["1m", 0] == 20


def test_entries_of_panes_that_closed_before_their_source_was_known_are_counted():
    stage = merge()
    stage.apply(log([frame(0, 5, floor=3), frame(1, 9, floor=3), NEW[0], NEW[0], NEW[1]]))
    assert (stage.counters["moved"], stage.counters["stale"], stage.counters["late"]) == (2, 1, 0)


def test_partitions_that_grow_twice_are_counted_where_each_found_the_oldest_open_pane():
    stage = merge()
    frames = [
        frame(0, 5, floor=3, of=1),
        frame(1, 1, entry(0, vitals(calls=10)), of=2),
        frame(0, 6, floor=9, of=1),
        frame(1, 2, floor=6, of=2),
        frame(2, 1, entry(0, vitals(calls=100)), entry(7, vitals(calls=1_000)), of=3),
        frame(0, 6, floor=20, of=1),
        frame(1, 6, floor=20, of=2),
        frame(2, 6, floor=20, of=3),
    ]
    found = calls(stage.apply(log(frames)))
    assert {start: count for (window, start), count in found.items() if window == "10s"} == {
        30: 10, 60: 100, 70: 1_000,
    }  # fmt: skip


def test_a_topic_that_is_read_again_loses_nothing_although_others_have_gone_ahead():
    def of(topic: str, *entries: Entry, floor: int) -> Frame:
        return Frame(f"{topic}/0", {topic: 1}, 0, 1, FIRST + floor, 1 + floor, PANE, entries)

    both, one = (MergePlan(PANE, VIEWS, inputs=frozenset(inputs)) for inputs in (("a", "b"), ("a",)))
    stage = merge(both)
    stage.apply(log([of("a", floor=3), of("b", floor=2)]))
    stage = merge(one, **stage.snapshot(whole=True).parts)
    stage.apply(log([of("a", floor=9)], 2))
    stage = merge(both, **stage.snapshot(whole=True).parts)
    out = stage.apply(log([of("b", entry(4, ONE), floor=5), of("a", floor=30), of("b", floor=30)], 3))
    assert calls(out)["10s", 90] == calls(out)["1m", 60] == 1


def test_a_new_topic_loses_nothing_when_its_own_frame_is_the_first_to_name_it():
    stage = merge()
    out = stage.apply(log([frame(0, 5, floor=3), frame(1, 9, floor=3)]))
    new = [
        Frame(f"new/{number}", {"calls": 2, "new": 2}, 0, 1, FIRST + floor, 1 + floor, PANE, entries)
        for number, floor, entries in ((1, 1, (entry(0, vitals(calls=10)),)), (1, 20, ()), (0, 20, ()))
    ]
    out += stage.apply(log([new[0], frame(0, 6, floor=20), frame(1, 10, floor=20)], 2))
    assert out == []
    (point,) = [point for where, point in stored(stage.apply(log(new[1:], 5))).items() if where[2] == "10s"]
    assert (point.start, point.counts["calls"], point.counts["late_calls"]) == (DAY + 3 * PANE, 10, 10)


QUARTER = FIRST * PANE // QUARTER_HOUR


def test_late_calls_and_those_of_closed_panes_are_apart_by_the_quarter_of_an_hour_of_their_own_time():
    said = {
        "calls/0": vitals(calls=1, duplicates=5),
        slot_of("calls/0", quarter=QUARTER - 4): vitals(calls=3, late_calls=3),
        slot_of("calls/1", quarter=QUARTER - 4, closed=FIRST): vitals(calls=7, late_calls=7),
        f"calls/1@{FIRST}": vitals(calls=10, late_calls=2),
        f"calls/1@{FIRST + 1}": vitals(calls=100),
        f"calls/1@{FIRST - 1}": vitals(calls=1_000),
    }
    found = summed({slot: (1, part.pack()) for slot, part in said.items()}, PANE)
    assert found.total("calls") == 1
    late = {quarter: (part.total("calls"), part.total("late_calls")) for quarter, part in found.late.items()}
    assert late == {QUARTER - 4: (10, 10), QUARTER - 1: (1_000, 1_000), QUARTER: (110, 110)}
    whole = found.whole()
    assert [whole.total(name) for name in ("calls", "late_calls", "duplicates")] == [1_121, 1_120, 5]


def test_late_calls_are_in_the_points_of_the_pane_they_are_counted_in():
    """Each quarter of each source once, whichever frame comes last or again."""
    old, new = vitals(calls=2, late_calls=2, errors=1), vitals(calls=3, late_calls=3, errors=2)
    frames = [
        frame(0, 5, entry(0, ONE), late=[late_entry(0, old, QUARTER - 4), late_entry(0, new, QUARTER - 3)]),
        frame(0, 7, late=[late_entry(0, new, QUARTER - 4)]),
        frame(0, 6, late=[late_entry(0, old, QUARTER - 4)]),
        frame(1, 5, late=[late_entry(0, old, QUARTER - 4)], floor=1),
        frame(0, 8, floor=6),
        frame(1, 8, floor=6),
    ]
    stage = merge()
    found = stored(stage.apply(log([*frames, *frames])))
    point = {where[2]: each for where, each in found.items() if where[:2] == ("llm_calls", "all")}
    for window in ("10s", "1m"):
        counts = point[window].counts
        assert [counts[name] for name in ("calls", "late_calls", "errors")] == [9, 8, 5]


def test_a_checkpoint_from_before_partitions_were_new_is_read_on():
    """It holds, under `joined`, what follows from the floors."""
    stage = merge()
    stage.apply(log([frame(0, 5, floor=3), frame(1, 9, floor=3), NEW[0]]))
    parts = dict(stage.snapshot(whole=True).parts)
    manifest = msgspec.msgpack.decode(parts["manifest"])
    manifest[6]["joined"] = {f"calls/{number}": FIRST + 3 for number in range(2, 8)}
    again = merge(**parts | {"manifest": msgspec.msgpack.encode(manifest)})
    out = again.apply(log([*NEW, *OLD, *REST], 3))
    assert calls(out)["10s", 30] == 1_130


def test_a_topic_that_is_read_no_more_is_not_waited_for():
    old = Frame("old/0", {"old": 1, "calls": 1}, 0, 1, FIRST, 1, PANE, (entry(0, ONE),))
    frames = [old, frame(0, 5, floor=1, of=1)]
    assert merge().apply(log(frames)) == []
    plan = MergePlan(PANE, VIEWS, inputs=frozenset({"calls"}))
    assert calls(merge(plan).apply(log(frames))) == {("10s", 0): 1}


# What a point holds


def test_a_point_holds_every_field_that_exists():
    content = vitals(
        calls=4, errors=1, cost_nano=3_000_000_000, priced_calls=3, usage_calls=4, input_tokens=1_000,
        output_tokens=50, cache_hits=1, latency_us=410_000, latency_count=4,
        toxicity_micro=600_000, toxicity_count=2, toxic_calls=1,
        latencies_ms=(100, 100, 100, 110),
        maxima={"latency_us_max": 110_000, "cost_nano_max": 2_000_000_000},
    )  # fmt: skip
    out = merge().apply(log([frame(0, 1, entry(0, content, "app", "search"), floor=1), frame(1, 1, floor=1)]))
    point = stored(out)["llm_calls", "app", "10s", 0, (("app", "search"),)]
    assert point.upto == FIRST + 1
    assert point.counts == {
        "calls": 4, "errors": 1, "late_calls": 0, "duplicates": 0, "unpriced_calls": 0,
        "unknown_usage_calls": 0, "cache_hits": 1, "guardrail_blocks": 0, "input_tokens": 1_000,
        "cached_tokens": 0, "cache_write_tokens": 0, "output_tokens": 50, "reasoning_tokens": 0,
        "cost_nano": 3_000_000_000, "refused_calls": 0, "usage_calls": 4, "gross_cost_nano": 0,
    }  # fmt: skip
    assert {name: value for name, value in point.measures.items() if "_p" not in name[-4:]} == {
        "cost_usd": 3.0,
        "latency_ms_mean": 102.5,
        "latency_ms_max": 110.0,
        "cost_usd_per_call_mean": 1.0,
        "cost_usd_per_call_max": 2.0,
        "input_tokens_per_call_mean": 250.0,
        "input_tokens_per_call_max": 0.0,
        "cache_hit_share": 0.25,
        "toxicity_mean": 0.3,
        "toxicity_share": 0.5,
    }
    percentiles = {name: value for name, value in point.measures.items() if "_p" in name[-4:]}
    assert set(percentiles) == {"latency_ms_p50", "latency_ms_p90", "latency_ms_p95", "latency_ms_p99"}
    assert percentiles["latency_ms_p50"] == pytest.approx(100, rel=0.01)


def test_what_guardrails_and_searches_did_is_in_a_point_where_there_were_any():
    content = vitals(
        calls=4, refused_calls=1, guarded_calls=3, guardrail_flags=2, guardrail_blocks=1, embedded_calls=4,
        retrievals=2, empty_retrievals=1, documents=5, retrieval_us=30_000, retrieval_count=2,
        top_score_micro=-500_000, top_score_count=1,
    )  # fmt: skip
    frames = [frame(0, 1, entry(0, content), entry(6, ONE), floor=12, of=1)]
    points = stored(merge().apply(log(frames)))
    first, second, hour = (points["llm_calls", "all", *at, ()] for at in (("1m", 0), ("1m", 60), ("1h", 0)))
    counts = {
        "refused_calls": 1, "guarded_calls": 3, "guardrail_flags": 2, "embedded_calls": 4,
        "retrievals": 2, "empty_retrievals": 1, "documents": 5,
    }  # fmt: skip
    for point in (first, hour):
        assert point.counts.items() >= counts.items()
        assert point.measures["retrieval_latency_ms_mean"] == 15
        assert point.measures["retrieval_top_score_mean"] == -0.5
    assert second.counts["refused_calls"] == 0
    assert not {"guarded_calls", "retrievals", "documents", "embedded_calls"} & second.counts.keys()
    assert {name for name, *_ in points} == {"llm_calls"}


def test_toxicity_and_scores_have_points_of_their_own():
    keys = quantiles.bin_keys("toxicity", np.array([10.0, 90.0])).astype(np.uint16)
    content = dataclasses.replace(
        vitals(calls=3, toxicity_count=2, toxicity_micro=1_000_000, toxic_calls=1, unscored_calls=1),
        bins=(keys, np.ones(2, np.int64)),
        scores={"helpful": (2, 1_000_000, 580_000), "old": (1, 250_000, 0)},
    )
    frames = [frame(0, 1, entry(0, content, "app", "x"), entry(1, content, "app", "x"), floor=6, of=1)]
    points = stored(merge().apply(log(frames)))
    toxic = {where[2]: point for where, point in points.items() if where[0] == "llm_toxicity"}
    assert set(toxic) == {"10s", "1m", "5m", "1h", "1d"}
    assert toxic["1m"].counts == {"scored_calls": 4, "toxic_calls": 2, "unscored_calls": 2}
    assert toxic["1m"].measures == {
        "toxicity_mean": 0.5, "toxicity_share": 0.5, "toxicity_p50": 0.1, "toxicity_p90": 0.9,
            "toxicity_p95": 0.9, "toxicity_p99": 0.9, "unscored_share": 1 / 3,
    }  # fmt: skip
    scored = {where[2:]: point for where, point in points.items() if where[0] == "llm_scores"}
    assert {window for window, _, _ in scored} == {"1m", "5m", "1h", "1d"}
    helpful = scored["1m", 0, (("app", "x"), ("score", "helpful"))]
    assert (helpful.counts, helpful.upto) == ({"scores": 4}, toxic["1m"].upto)
    assert helpful.measures == {"score_mean": 0.5, "score_deviation": 0.2}
    old = scored["1m", 0, (("app", "x"), ("score", "old"))]
    assert old.measures == {"score_mean": 0.25}


def test_a_percentile_is_never_above_the_exact_maximum():
    for value in (1.0, 7.3, 100.0, 12_345.6):
        content = vitals(
            calls=1, latency_count=1, latencies_ms=(value,), maxima={"latency_us_max": round(value * 1_000)}
        )
        out = merge().apply(log([frame(0, 1, entry(0, content), floor=1, of=1)]))
        (point,) = stored(out).values()
        assert value * 0.98 <= point.measures["latency_ms_p99"] <= value


def test_the_heaviest_are_named_from_a_minute_on():
    heavy = {"user": {"a": (1, 5, 10), "b": (1, 9, 20), "c": (2, 7, 30)}}
    content = vitals(calls=4, contributors=heavy)
    frames = [frame(0, 1, entry(0, content), entry(0, content, "app", "x"), floor=6, of=1)]
    points = stored(merge().apply(log(frames)))
    tops = {where[2:]: point for where, point in points.items() if where[0] == "llm_top"}
    assert {window for window, _, _ in tops} == {"1m", "5m", "1h", "1d"}
    ranks = [tops["1m", 0, (("kind", "user"), ("rank", rank))] for rank in ("1", "2")]
    assert [(point.texts["name"], point.counts, point.measures) for point in ranks] == [
        ("b", {"calls": 1, "tokens": 20}, {"cost_usd": 9e-9}),
        ("c", {"calls": 2, "tokens": 30}, {"cost_usd": 7e-9}),
    ]
    assert len(tops) == 2 * 4


def test_who_spends_steadily_gets_to_the_top_however_many_spent_more_before():
    early = {f"early-{number}": (1, 100, 1) for number in range(PLAN.contributors * 4)}
    minutes = [{"user": early}] + [{"user": {"steady": (1, 99, 1)}}] * 5
    frames = [
        frame(0, n + 1, entry(6 * n, vitals(calls=1, contributors=heavy)), floor=6 * n + 6, of=1)
        for n, heavy in enumerate(minutes)
    ]
    points = stored(merge().apply(log(frames)))
    first = points["llm_top", "all", "1h", 0, (("kind", "user"), ("rank", "1"))]
    assert (first.texts["name"], first.counts["calls"]) == ("steady", 5)


def test_errors_have_points_too():
    heavy = {"error": {"timeout in search": (1, 0, 0), "rate_limit in chat": (3, 0, 0)}}
    frames = [frame(0, 1, entry(0, vitals(calls=4, contributors=heavy)), floor=6, of=1)]
    point = stored(merge().apply(log(frames)))["llm_top", "all", "1m", 0, (("kind", "error"), ("rank", "1"))]
    assert (point.texts["name"], point.counts["calls"]) == ("rate_limit in chat", 3)


def test_views_that_are_not_stored_or_not_known_give_no_points():
    content = [entry(0, ONE, "rule", "x"), entry(0, ONE, "gone"), entry(0, ONE, "app"), entry(0, ONE)]
    stage = merge()
    out = stage.apply(log([frame(0, 1, *content, floor=6, of=1)]))
    assert {where[1] for where in stored(out)} == {"all"}
    assert stage.counters["unknown"] == 3


# Roll-up


def test_a_minute_is_told_once_and_longer_windows_whenever_a_minute_is_complete():
    stage = merge()
    told = [calls(stage.apply(log([frame(0, n, entry(n, ONE), floor=n + 1, of=1)], n))) for n in range(13)]
    assert told[4] == {("10s", 40): 1}
    assert told[5] == {("10s", 50): 1, ("1m", 0): 6, ("5m", 0): 6, ("1h", 0): 6, ("1d", 0): 6}
    assert told[6] == {("10s", 60): 1}
    assert told[11] == {("10s", 110): 1, ("1m", 60): 6, ("5m", 0): 12, ("1h", 0): 12, ("1d", 0): 12}


def test_panes_of_a_minute_are_the_minutes():
    plan = MergePlan(60 * SECOND, VIEWS)
    content = replace(entry(0, ONE), pane=DAY // plan.pane_us)
    each = replace(frame(0, 1, content, of=1), floor=DAY // plan.pane_us + 1, pane_us=plan.pane_us)
    out = merge(plan).apply(log([each]))
    assert calls(out) == {("1m", 0): 1, ("5m", 0): 1, ("1h", 0): 1, ("1d", 0): 1}
    assert len(points_of(out)) == 4


def test_points_leave_in_arrays_to_the_partition_of_their_shard():
    entries = [entry(0, ONE, "app", f"a{number}") for number in range(1_200)]
    each = replace(frame(0, 1, *entries, floor=1, of=1), shard=3, shards=4)
    stage = Merge(dataclasses.replace(PLAN, shards=4), shard=3, parts={}, beginning=0)
    out = stage.apply(log([each]))
    assert {(message.topic, message.key, message.partition) for message in out} == {(Topic.VITALS, b"3", 3)}
    assert len(points_of(out)) == stage.counters["points"] == 1_200
    assert len(out) < 12
    assert len(stored(out)) == 1_200


WINDOWS = {"10s": 10, "1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}
ENTRIES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 40) | st.integers(0, 20_000), st.sampled_from("abc")),
    max_size=30,
)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_every_window_is_the_sum_of_its_panes(entries, rnd):
    """However the frames come and however the floors jump, each window ends as brute force has it."""
    contents = {
        (source, pane, app): vitals(
            calls=1 + 7 * pane % 1_000, cost_nano=pane * 3, latencies_ms=(pane % 97 + 1,)
        )
        for source, pane, app in entries
    }
    want = {
        (window, pane * 10 // length * length, app): merged(
            [
                part
                for (_, p, a), part in contents.items()
                if a == app and p * 10 // length == pane * 10 // length
            ]
        )
        for _, pane, app in contents
        for window, length in WINDOWS.items()
    }
    frames = [frame(s, 1, entry(pane, part, "app", app), of=3) for (s, pane, app), part in contents.items()]
    rnd.shuffle(frames)
    floors = sorted(rnd.choices(range(20_000), k=4))
    due = [[f for f in frames if f.entries[0].pane - FIRST < floor] for floor in floors] + [frames]
    stage, out = merge(), []
    for floor, before in zip([*floors, 40_000], due, strict=True):
        beats = [frame(s, 2, floor=floor, of=3) for s in range(3)]
        out += stage.apply(log([*before, *beats], stage.next))
    got = {(w, start, dict(t)["app"]): point for (_, _, w, start, t), point in stored(out).items()}
    assert set(got) == set(want)
    for where, point in got.items():
        assert point.counts["calls"] == want[where].total("calls")
        assert point.counts["cost_nano"] == want[where].total("cost_nano")
        assert point.measures["latency_ms_p95"] == want[where].quantile("latency_ms", 0.95)
    assert stage.series == 0


@given(ENTRIES, st.randoms(use_true_random=False))
def test_batches_and_the_order_of_frames_change_no_byte(entries, rnd):
    frames = [
        frame(s, 1, entry(pane, vitals(calls=pane + 1, latencies_ms=(pane + 1,)), "app", app), of=3)
        for s, pane, app in dict.fromkeys(entries)
    ]
    beats = [frame(s, 2, floor=30_000, of=3) for s in range(3)]
    straight = merge().apply(log([*frames, *beats]))
    shuffled = rnd.sample(frames, len(frames))
    records = log([*shuffled, *rnd.choices(shuffled or beats, k=5), *beats])
    stage, out = merge(), []
    while records:
        cut = rnd.randint(1, len(records))
        out += stage.apply(records[:cut])
        records = records[cut:]
    assert Counter(out) == Counter(straight)


def test_the_end_of_a_finite_log_closes_everything():
    stage = merge()
    stage.apply(log([frame(0, 1, entry(0, ONE), entry(7, ONE), floor=0)]))
    out = stage.finish()
    assert calls(out) == {
        ("10s", 0): 1, ("10s", 70): 1, ("1m", 0): 1, ("1m", 60): 1, ("5m", 0): 2, ("1h", 0): 2, ("1d", 0): 2,
    }  # fmt: skip
    assert {point.upto for point in stored(out).values()} == {FIRST + 8}
    assert stage.series == 0


def test_when_every_source_has_ended_the_points_say_the_last_pane_that_was_counted():
    stage = merge()
    records = log([frame(0, 1, entry(3, ONE)), frame(0, 1, floor=FOREVER), frame(1, 1, floor=FOREVER)])
    out = stage.apply(records)
    assert calls(out)["1d", 0] == 1
    assert {point.upto for point in stored(out).values()} == {FIRST + 4}


def test_an_empty_log_ends_with_nothing():
    assert merge().finish() == []


# What has no business on the topic


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", frame(0, 1).encode()[:-1]])
def test_a_record_that_is_no_frame_stops_merge(value):
    with pytest.raises(ConfigError, match=r"offset 3 of shard 0 .* is no frame"):
        merge().apply([Logged(3, 0, value)])


@pytest.mark.parametrize("wrong", [{"shard": 1}, {"shards": 2}, {"pane_us": 5 * SECOND}])
def test_frames_of_another_shard_or_pane_length_stop_merge(wrong):
    stage = merge()
    stage.apply(log([frame(0, 1)]))
    with pytest.raises(ConfigError, match="start afresh with another `topic_prefix`"):
        stage.apply(log([replace(frame(0, 1), **wrong)], 1))


# The table of percentiles


VALUES = st.lists(st.lists(st.floats(0, 1e9), max_size=20), min_size=1, max_size=6)


@given(VALUES, st.sampled_from(sorted(quantiles.SKETCHES)), st.floats(0, 1))
def test_reading_many_at_once_is_reading_one_by_one(many, sketch, q):
    bins = []
    for values in many:
        keys, counts = np.unique(quantiles.bin_keys(sketch, np.array(values)), return_counts=True)
        bins.append((keys.astype(np.uint16), counts.astype(np.int64)))
    for got, part in zip(quantiles.read(bins, [(sketch, q)])[:, 0].tolist(), bins, strict=True):
        one = quantiles.quantile(part, sketch, q)
        assert got == one or (one is None and np.isnan(got))
