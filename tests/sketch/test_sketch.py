"""What is added up: the merge laws over all of it, and the error that quantiles state."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from ddsketch import DDSketch
from hypothesis import given, settings
from hypothesis import strategies as st

from any_vitals import bins, celled, contributors, exemplars, maxima, scored, sums, vitals
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch import cells, counters, quantiles, scores, top_k


class Sketch(NamedTuple):
    """One that obeys the law: what it may hold, how parts become one, none of it, and its bytes."""

    parts: st.SearchStrategy[Any]
    merge: Callable[[list[Any]], Any]
    none: Any
    pack: Callable[[Any], bytes]


def packed(content: Any) -> bytes:
    return msgspec.msgpack.encode(content, order="sorted")


SKETCHES = {
    "sums": Sketch(sums, counters.add_sums, (0,) * len(counters.SUMS), packed),
    "maxima": Sketch(maxima, counters.take_maxima, (0,) * len(counters.MAXIMA), packed),
    "bins": Sketch(bins, quantiles.merge_bins, quantiles.NO_BINS, lambda b: b[0].tobytes() + b[1].tobytes()),
    "contributors": Sketch(contributors, top_k.merge_contributors, {}, packed),
    "exemplars": Sketch(exemplars, top_k.merge_exemplars, {}, packed),
    "scores": Sketch(scored, scores.merge_scores, {}, packed),
    "cells": Sketch(celled, cells.merge_cells, None, lambda found: packed(found and cells.pack_cells(found))),
    "vitals": Sketch(vitals, merged, Vitals(), Vitals.pack),
}
every = pytest.mark.parametrize("sketch", SKETCHES.values(), ids=SKETCHES)


@every
@settings(max_examples=50)
@given(data=st.data())
def test_the_same_parts_give_the_same_bytes_in_any_order_and_grouping(sketch, data):
    parts = data.draw(st.lists(sketch.parts, min_size=1, max_size=6))
    want = sketch.pack(sketch.merge(parts))
    shuffled = data.draw(st.permutations(parts))
    assert sketch.pack(sketch.merge(shuffled)) == want
    cut = data.draw(st.integers(0, len(parts)))
    groups = [group for group in (shuffled[:cut], shuffled[cut:]) if group]
    assert sketch.pack(sketch.merge([sketch.merge(group) for group in groups])) == want


@every
@settings(max_examples=30)
@given(data=st.data())
def test_nothing_added_changes_nothing(sketch, data):
    part = data.draw(sketch.parts)
    assert sketch.pack(sketch.merge([part, sketch.none])) == sketch.pack(part)
    assert sketch.pack(sketch.merge([sketch.none, part])) == sketch.pack(part)
    assert sketch.pack(sketch.merge([])) == sketch.pack(sketch.none)


@given(st.lists(sums, min_size=1, max_size=5), st.lists(maxima, min_size=1, max_size=5))
def test_sums_add_and_maxima_take_the_greatest(added, greatest):
    total, top = [0] * len(counters.SUMS), [0] * len(counters.MAXIMA)
    for vector in added:
        for place, value in enumerate(vector):
            total[place] += value
    for vector in greatest:
        for place, value in enumerate(vector):
            top[place] = max(top[place], value)
    assert counters.add_sums(added) == tuple(total)
    assert counters.take_maxima(greatest) == tuple(top)


def test_sums_do_not_overflow():
    assert counters.add_sums([(2**63 - 1,), (2**63 - 1,)]) == (2**64 - 2,)


@given(st.lists(bins, max_size=5))
def test_bins_count_what_their_parts_count(parts):
    want: Counter[int] = Counter()
    for keys, found in parts:
        want.update(dict(zip(keys.tolist(), found.tolist(), strict=True)))
    keys, found = quantiles.merge_bins(parts)
    assert dict(zip(keys.tolist(), found.tolist(), strict=True)) == want
    assert keys.tolist() == sorted(want)


@given(st.lists(contributors, max_size=4), st.integers(1, 3))
def test_contributors_add_up_and_the_heaviest_are_those_of_the_sum(parts, most):
    want: dict[str, dict[str, list[int]]] = {}
    for part in parts:
        for kind, shares in part.items():
            for name, share in shares.items():
                had = want.setdefault(kind, {}).setdefault(name, [0] * 6)
                want[kind][name] = [a + b for a, b in zip(had, share, strict=True)]
    merged_ = top_k.merge_contributors(parts)
    assert merged_ == {kind: {n: tuple(s) for n, s in shares.items()} for kind, shares in want.items()}
    for kind, shares in top_k.cut(merged_, most).items():
        money = sorted((share[1] for share in want[kind].values()), reverse=True)[:most]
        assert sorted((share[1] for share in shares.values()), reverse=True) == money


def test_of_equal_contributors_the_first_by_name_are_kept():
    rest = (9, 9, 9)
    shares = dict.fromkeys("dbca", (1, 5, 7, *rest)) | {
        "rich": (1, 6, 0, *rest),
        "busy": (1, 5, 8, *rest),
        "often": (2, 5, 7, *rest),
    }
    assert [name for name, _ in top_k.heaviest(shares, 5)] == ["rich", "busy", "often", "a", "b"]


def test_the_worst_calls_are_the_greatest_and_each_only_once():
    parts = [{"cost": ((9, "b"), (1, "z"))}, {"cost": ((9, "a"), (9, "b"))}, {"cost": ((5, "c"),)}]
    assert top_k.merge_exemplars(parts) == {"cost": ((9, "a"), (9, "b"), (5, "c"))}


def test_scores_add_up_below_zero_too_and_the_first_names_are_kept():
    many = {f"s{number:02}": (1, -5, 25) for number in range(40)}
    merged_ = scores.merge_scores([many, {"s00": (2, 3, 5), "zeal": (1, 1, 1)}, {"a": (1, 7, 49)}])
    rest = {f"s{number:02}": (1, -5, 25) for number in range(1, 31)}
    assert merged_ == {"a": (1, 7, 49), "s00": (3, -2, 30)} | rest


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20))
def test_a_score_has_the_mean_and_the_deviation_of_its_values(micros):
    squares = sum((micro * micro + 500_000) // 10**6 for micro in micros)
    said = (len(micros), sum(micros), squares)
    values = [micro / 1e6 for micro in micros]
    assert scores.mean(said) == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert scores.deviation(said) == pytest.approx(statistics.pstdev(values), abs=1.1e-3)


def test_squares_that_an_older_version_did_not_keep_give_no_deviation():
    old = msgspec.msgpack.encode(((), (), b"", b"", {}, {}, {"helpful": (2, 1_500_000)}))
    found = Vitals.unpack(old).scores
    assert found == {"helpful": (2, 1_500_000, 0)}
    assert scores.mean(found["helpful"]) == 0.75
    assert scores.deviation(found["helpful"]) is None
    assert scores.merge_scores([found, {"helpful": (1, 500_000, 250_000)}]) == {
        "helpful": (3, 2_000_000, 250_000)
    }
    assert scores.deviation((3, 1_500_000, 750_000)) == 0


# Quantiles


def sketched(values: list[float], sketch: str = "latency_ms") -> quantiles.Bins:
    keys, found = np.unique(quantiles.bin_keys(sketch, np.array(values, float)), return_counts=True)
    return keys.astype(np.uint16), found.astype(np.int64)


def at_rank(values: list[float], q: float) -> float:
    return sorted(values)[math.floor(q * (len(values) - 1))]


within = st.floats(1e-3, 1e8)
ranks = st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.95, 0.99, 1.0])


@given(st.lists(within, min_size=1, max_size=200), ranks)
def test_a_quantile_is_off_by_at_most_what_is_stated(values, q):
    found = quantiles.quantile(sketched(values), "latency_ms", q)
    assert found == pytest.approx(at_rank(values, q), rel=quantiles.ALPHA * (1 + 1e-9))


@given(st.lists(within, max_size=200), ranks)
def test_a_quantile_of_some_bins_is_the_same_without_numpy(values, q):
    bins = sketched(values)
    numbers, found = quantiles.sketch_bins(bins, "latency_ms")
    counts = list(zip(numbers.tolist(), found.tolist(), strict=True))
    assert quantiles.quantile_of("latency_ms", counts, q) == quantiles.quantile(bins, "latency_ms", q)


@given(st.lists(within, min_size=1, max_size=200), ranks)
def test_the_bound_holds_after_a_round_trip_and_a_merge(values, q):
    half = len(values) // 2
    parts = [Vitals(bins=sketched(part)) for part in (values[:half], values[half:]) if part]
    found = Vitals.unpack(merged([Vitals.unpack(part.pack()) for part in parts]).pack()).quantile(
        "latency_ms", q
    )
    assert found == pytest.approx(at_rank(values, q), rel=quantiles.ALPHA * (1 + 1e-9))


MAXIMA = {
    "latency_ms": ("latency_us_max", "latency_count", 1_000, 1.0),
    "ttft_ms": ("ttft_us_max", "ttft_count", 1_000, 1.0),
    "cost_usd_per_call": ("cost_nano_max", "priced_calls", 10**9, 1e-6),
    "input_tokens_per_call": ("input_tokens_max", "usage_calls", 1, 1.0),
}
"""Sketch → maximum, its calls, how many of the maximum's units are one of the sketch's name, and its own unit."""


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=50), ranks, st.sampled_from(sorted(MAXIMA)))
def test_a_quantile_is_never_above_the_exact_maximum(amounts, q, sketch):
    maximum, calls, units, own = MAXIMA[sketch]
    content = Vitals(
        tuple(len(amounts) if name == calls else 0 for name in counters.SUMS),
        tuple(max(amounts) if name == maximum else 0 for name in counters.MAXIMA),
        sketched([amount / units / own for amount in amounts], sketch),
    )
    found = content.quantile(sketch, q)
    assert found <= max(amounts) / units == content.top(sketch)
    assert found == pytest.approx(
        at_rank(amounts, q) / units, rel=quantiles.ALPHA * (1 + 1e-9), abs=1e-3 * own
    )


def test_what_has_no_maximum_is_not_held_to_one():
    content = Vitals(bins=quantiles.merge_bins([sketched([7.0], name) for name in quantiles.SKETCHES]))
    assert content.top("output_tokens_per_s") is None
    assert content.quantile("output_tokens_per_s", 1.0) == pytest.approx(7, rel=quantiles.ALPHA)
    assert content.quantile("latency_ms", 1.0) == pytest.approx(7, rel=quantiles.ALPHA)


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_agree_with_datadogs_own_sketch(seed):
    values = np.random.default_rng(seed).lognormal(6, 1.5, 20_000)
    oracle = DDSketch(quantiles.ALPHA)
    for value in values:
        oracle.add(value)
    mine = sketched(values.tolist())
    for q in (0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999):
        assert quantiles.quantile(mine, "latency_ms", q) == pytest.approx(
            oracle.get_quantile_value(q), rel=1e-9
        )


def test_what_lies_outside_of_the_range_counts_at_its_ends():
    mine = sketched([0.0, 1e-9, 1e20])
    assert quantiles.quantile(mine, "latency_ms", 0.0) == 0
    assert quantiles.quantile(mine, "latency_ms", 0.5) == 0
    assert quantiles.quantile(mine, "latency_ms", 1.0) == pytest.approx(1e8, rel=quantiles.ALPHA)


def test_sketches_in_one_vector_do_not_touch():
    both = quantiles.merge_bins([sketched([5.0] * 3, name) for name in quantiles.SKETCHES])
    for name, unit in quantiles.SKETCHES.items():
        assert quantiles.sketch_bins(both, name)[1].tolist() == [3]
        assert quantiles.quantile(both, name, 0.5) == pytest.approx(5 * unit, rel=quantiles.ALPHA)
    assert quantiles.quantile(sketched([5.0], "ttft_ms"), "latency_ms", 0.5) is None


def test_toxicity_is_a_histogram_of_hundredths():
    mine = sketched([0, 3, 3.4, 99.6, 100, 250], "toxicity")
    assert [quantiles.quantile(mine, "toxicity", q) for q in (0, 0.2, 0.4, 0.6, 1)] == [0, 0.03, 0.03, 1, 1]


@given(st.lists(bins, max_size=4))
def test_many_read_at_once_are_what_each_is_by_itself(many):
    wanted = list(itertools.product(quantiles.SKETCHES, (0.0, 0.5, 0.99, 1.0)))
    for row, one in zip(quantiles.read(many, wanted) if many else [], many, strict=True):
        assert [None if np.isnan(value) else value for value in row.tolist()] == [
            quantiles.quantile(one, sketch, q) for sketch, q in wanted
        ]


@given(st.lists(st.integers(0, 2**62), max_size=6))
def test_counts_survive_packing(found):
    again = quantiles.unpack_counts(quantiles.pack_counts(np.array(found, np.int64)), len(found))
    assert again.tolist() == found


# Vitals


@given(vitals)
def test_vitals_survive_packing(one):
    again = Vitals.unpack(one.pack())
    assert again == one
    assert again.pack() == one.pack()
    assert [again.total(name) for name in (*counters.SUMS, *counters.MAXIMA)] == [*one.sums, *one.maxima]


def test_vitals_of_an_older_version_have_nothing_of_what_was_not_counted_then():
    old = msgspec.msgpack.encode(((1, 2), (3,), b"", b"", {"user": {"ann": (4, 50, 6)}}, {}))
    found = Vitals.unpack(old)
    assert found.contributors == {"user": {"ann": (4, 50, 6, 50, 0, 0)}}
    assert found.scores == {}
    assert found.sums == (1, 2) + (0,) * (len(counters.SUMS) - 2)
    assert found.maxima == (3,) + (0,) * (len(counters.MAXIMA) - 1)


def test_vitals_without_the_newest_sums_have_the_bytes_of_older_versions() -> None:
    always = tuple(range(60))
    old = msgspec.msgpack.encode((always, (4, 3, 2, 1), b"", b"", {}, {}, {}, {}))
    assert Vitals.unpack(old).pack() == old
    assert len(Vitals((*always, *(0,) * (len(counters.SUMS) - 60))).pack()) == len(old)


def test_vitals_of_an_older_version_merge_with_those_of_this_one() -> None:
    old = Vitals.unpack(msgspec.msgpack.encode(((1,) * 60, (1,) * 4, b"", b"", {}, {}, {}, {})))
    new = Vitals((1,) * len(counters.SUMS), (2,) * 4)
    both = merged([old, new])
    assert {name: both.total(name) for name in ("calls", "stopped_calls", "unmetered_calls", "outcomes")} == {
        "calls": 2, "stopped_calls": 2, "unmetered_calls": 1, "outcomes": 1,
    }  # fmt: skip
    assert Vitals.unpack(both.pack()) == both


def test_an_unknown_total_is_no_zero():
    with pytest.raises(KeyError):
        Vitals().total("cals")


@given(st.lists(vitals, min_size=2, max_size=4))
def test_totals_of_series_add_up_to_the_total(parts):
    assert merged(parts).total("cost_nano") == sum(part.total("cost_nano") for part in parts)
    assert merged(parts).total("latency_us_max") == max(part.total("latency_us_max") for part in parts)
