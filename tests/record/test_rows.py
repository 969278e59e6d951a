"""Vitals as columns: the same vitals row by row, packed or not, added up or not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_vitals import vitals
from llmvitals.metrics.registry import METRICS
from llmvitals.metrics.table import MetricTable
from llmvitals.record.block import Block, PackedBlock, cut
from llmvitals.record.packed_rows import PackedMatrix, PackedRows
from llmvitals.record.rows import Rows
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch import counters

EVERY = st.lists(vitals, max_size=6)
INTEGERS = st.integers(-(2**120), 2**120) | st.integers(-(2**62), 2**62) | st.integers(-300, 300) | st.just(0)
MATRICES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(INTEGERS, min_size=width, max_size=width), max_size=6)
)
PLAIN = [each for each in METRICS.values() if not each.score and each.under != "seconds"]


@given(EVERY)
def test_rows_are_the_vitals_that_they_were_made_of_packed_too(every: list[Vitals]) -> None:
    rows = Rows.of(every)
    assert list(rows.vitals()) == every
    packed = msgspec.msgpack.encode(PackedRows.of(rows), order="sorted")
    assert list(msgspec.msgpack.decode(packed, type=PackedRows).unpack().vitals()) == every


@given(EVERY, st.data())
def test_some_rows_and_many_parts_are_what_they_are_alone(every: list[Vitals], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(every) - 1), max_size=8) if every else st.just([]))
    rows = Rows.of(every)
    assert list(rows.take(np.array(places, np.int64)).vitals()) == [every[place] for place in places]
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(every))] * 2)))
    assert list(rows.part(start, end).vitals()) == every[start:end]
    parts = [Rows.of(every[:end]), Rows.of(every[end:])]
    assert list(Rows.concatenated(parts).vitals()) == every


@given(st.lists(st.tuples(st.integers(0, 2), vitals), min_size=1, max_size=8))
def test_rows_add_up_as_vitals_do(every: list[tuple[int, Vitals]]) -> None:
    groups = np.array([group for group, _ in every])
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    want = [merged([part for g, part in every if g == group]) for group in sorted({*groups.tolist()})]
    assert list(Rows.of([part for _, part in every]).summed(order, starts).vitals()) == want


def test_sums_never_overflow_and_are_kept_whole() -> None:
    """The squares of a day of calls may exceed 64 bits; what is added to them later, too."""
    one = Vitals(tuple(2**62 for _ in counters.SUMS))
    rows = Rows.of([one] * 3).summed(np.arange(3), np.array([0]))
    again = PackedRows.of(rows).unpack()
    more = Rows.concatenated([again, Rows.of([one])]).summed(np.arange(2), np.array([0]))
    assert set(next(rows.vitals()).sums) == {3 * 2**62}
    assert set(next(again.vitals()).sums) == {3 * 2**62}
    assert set(next(more.vitals()).sums) == {4 * 2**62}


@given(MATRICES)
def test_a_matrix_of_any_integers_is_read_as_it_was(matrix: list[list[int]]) -> None:
    width = len(matrix[0]) if matrix else 3
    try:
        array = np.array(matrix, np.int64).reshape(-1, width)
    except OverflowError:
        array = np.array(matrix, object).reshape(-1, width)
    assert PackedMatrix.of(array).unpack(width).tolist() == matrix


def test_sums_of_a_newer_version_are_refused_and_of_an_older_one_completed() -> None:
    packed = PackedMatrix.of(np.array([[1, 0, 3]]))
    assert packed.unpack(5).tolist() == [[1, 0, 3, 0, 0]]
    with pytest.raises(ValueError, match="more sums than this version knows: update it"):
        packed.unpack(2)


@given(EVERY)
def test_many_metrics_at_once_are_each_of_them_alone(every: list[Vitals]) -> None:
    table = MetricTable.of(PLAIN)
    assert sorted(table.fields) == sorted(metric.field for metric in PLAIN)
    metrics = [*table.values, *table.maxima, *table.percentiles]
    for part, row in zip(every, table.read(Rows.of(every)).tolist(), strict=True):
        for metric, found in zip(metrics, row, strict=True):
            if metric.sketch:
                want = part.quantile(metric.sketch, metric.q)
            elif metric.top:
                want = part.total(metric.top) / metric.per if part.total(metric.counted) else None
            else:
                want = metric.of(part.total)
            assert found == want or (want is None and np.isnan(found)), metric


def block(every: list[Vitals]) -> Block:
    names = [f'["app","{number}"]'.encode() for number in range(len(every))]
    return Block("app", names, np.arange(len(every)) + 170_000_000, Rows.of(every))


@given(st.lists(vitals, min_size=1, max_size=6))
def test_a_packed_block_is_the_block(every: list[Vitals]) -> None:
    one = block(every)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(PackedBlock.of(one)), type=PackedBlock).unpack()
    assert (again.view, list(again.names)) == (one.view, list(one.names))
    assert again.panes.tolist() == one.panes.tolist()
    assert list(again.rows.vitals()) == every
    with pytest.raises(ValueError, match="different lengths"):
        msgspec.structs.replace(PackedBlock.of(one), names=[]).unpack()


@given(st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=9), max_size=4), st.integers(1, 200))
def test_blocks_are_cut_into_groups_that_fit_and_lose_nothing(sizes: list[list[int]], limit: int) -> None:
    blocks = [replace(block([Vitals()] * len(each)), view=str(n)) for n, each in enumerate(sizes)]
    groups = list(cut(blocks, map(np.array, sizes), limit))
    size_of = {
        (str(n), f'["app","{m}"]'.encode()): size
        for n, each in enumerate(sizes)
        for m, size in enumerate(each)
    }
    names = [[(part.view, name) for part in group for name in part.names] for group in groups]
    assert [name for group in names for name in group] == list(size_of)
    assert all(len(group) == 1 or sum(size_of[name] for name in group) <= limit for group in names)
    assert all(groups)
