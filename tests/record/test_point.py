"""The records of the vitals topic: arrays of points, and the records of one point of earlier versions."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.record.point import MOST, Point, decode, decode_each, encode
from llmvitals.record.sizes import BYTES
from store_points import point

POINTS = st.lists(
    st.builds(
        point,
        team=st.text(max_size=5),
        counts=st.dictionaries(st.sampled_from(["calls", "errors"]), st.integers(-(2**63), 2**63 - 1)),
        measures=st.dictionaries(st.just("cost_usd"), st.floats(allow_nan=False, allow_infinity=False)),
        texts=st.dictionaries(st.just("name"), st.text(max_size=5)),
        upto=st.integers(-(2**62), 2**62),
    ),
    max_size=20,
)
NO_POINT = st.sampled_from([b"3", b"null", b"[]", b"{}", b'{"measurement":"my prompt"}', b'"my prompt"'])


def numbered(count: int, **changes: object) -> list[Point]:
    return [point(team=f"t{number}", **changes) for number in range(count)]


@given(POINTS)
def test_what_is_decoded_is_what_was_encoded_in_its_order(points: list[Point]) -> None:
    records = encode(points)
    assert [point for record in records for point in decode(record)] == points
    assert [point for record in records for point in decode_each(record)] == points


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1, 3 * MOST])
def test_an_array_has_at_most_so_many_points(count: int) -> None:
    points = numbered(count)
    sizes = [len(decode(record)) for record in encode(points)]
    assert sizes == [MOST] * (count // MOST) + [count % MOST] * (count % MOST > 0)


def test_an_array_stays_below_the_limit_of_a_record_and_is_filled() -> None:
    records = encode(numbered(300, texts={"name": "x" * 10_000}))
    assert all(len(record) <= BYTES for record in records)
    assert len(records) == 5


def test_large_and_small_points_are_encoded_in_their_order_below_the_limit() -> None:
    points = [point(team=f"t{n}", texts={"name": "x" * (n * 7919 % 20_011)}) for n in range(2 * MOST)]
    records = encode(points)
    assert all(len(record) <= BYTES for record in records)
    assert [each for record in records for each in decode(record)] == points
    small = [b"[%b]" % b",".join(each.encode() for each in numbered(70))]
    assert encode(numbered(70)) == small


def test_a_point_beyond_the_limit_is_alone() -> None:
    points = [*numbered(2), point(texts={"name": "x" * BYTES}), *numbered(2)]
    assert [len(decode(record)) for record in encode(points)] == [2, 1, 2]


def test_a_record_of_an_earlier_version_holds_one_point() -> None:
    assert decode(point().encode()) == decode_each(point().encode()) == [point()]


@given(st.lists(POINTS.filter(len).map(lambda points: points[0].encode()) | NO_POINT, min_size=1, max_size=8))
def test_an_item_that_is_no_point_falls_alone(items: list[bytes]) -> None:
    found = decode_each(b"[" + b", ".join(items) + b"]")
    assert len(found) == len(items)
    for item, result in zip(items, found, strict=True):
        assert isinstance(result, Point) == ("start" in str(json.loads(item)))
        assert "my prompt" not in str(result) or isinstance(result, Point)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b" [ ] ", b"{}", b"[{]", b"\xff", b"[" * 100_000, b'[{"x":' * 100_000, b"[1"]
)
def test_a_record_that_can_not_be_decoded_is_one_error(data: bytes) -> None:
    (error,) = decode_each(data)
    assert isinstance(error, ValueError)
    assert str(error)
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        decode(data)


@pytest.mark.parametrize(
    "changes",
    [{"counts": {"calls": 2**63}}, {"counts": {"calls": -(2**63) - 1}}, {"start": 2**63 // 1_000 + 1},
     {"start": -(2**63) // 1_000}, {"upto": 2**63}],
)  # fmt: skip
def test_a_number_that_no_store_can_hold_is_refused(changes: dict[str, object]) -> None:
    (error,) = decode_each(point(**changes).encode())
    assert isinstance(error, ValueError)
