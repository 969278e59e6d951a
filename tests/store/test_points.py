"""Line protocol: one line per point, whatever the tags hold, and it parses back to the point."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.record.log import Logged
from llmvitals.record.point import Point, encode
from llmvitals.store.influx.lines import line
from llmvitals.store.points import Counts, Newest, placed
from llmvitals.store.series import tag
from llmvitals.store.sqlite import rows
from plain_points import plain_line, plain_place, plain_row
from store_points import INJECTIONS, point


def parse(text: str) -> tuple[str, dict[str, str], dict[str, Any], int]:
    """A reader of line protocol written from InfluxDB's documentation, character by character."""
    at = 0

    def until(stops: str) -> str:
        nonlocal at
        out = []
        while at < len(text) and text[at] not in stops:
            if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in ", =":
                at += 1
            out.append(text[at])
            at += 1
        return "".join(out)

    def value() -> Any:
        nonlocal at
        if text[at] != '"':
            word = until(", ")
            return int(word[:-1]) if word.endswith("i") else float(word)
        at += 1
        out = []
        while text[at] != '"':
            if text[at] == "\\":
                at += 1
                assert text[at] in '\\"'
            out.append(text[at])
            at += 1
        at += 1
        return "".join(out)

    measurement, tags, fields = until(", "), {}, {}
    while text[at] == ",":
        at += 1
        key = until("=")
        at += 1
        tags[key] = until(", ")
    while not fields or text[at] == ",":
        at += 1
        name = until("=")
        at += 1
        fields[name] = value()
    assert text[at] == " "
    return measurement, tags, fields, int(text[at + 1 :])


names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
plain = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\\"), max_size=40
)
evil = st.text(st.characters(), max_size=200) | st.sampled_from(INJECTIONS)
FLOAT = re.compile(r"(?<==)-?[0-9.]+(?:e[+-]?[0-9]+)?(?=[, ])")


def written(point: Point) -> str:
    """The line of a point."""
    return line(placed(point)).decode()


points = st.builds(
    Point,
    measurement=names.map("llm_{}".format),
    start=st.integers(-(2**52), 2**52),
    tags=st.dictionaries(plain.filter(len), plain, max_size=5),
    counts=st.dictionaries(
        names.map("c_{}".format), st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4
    ),
    measures=st.dictionaries(
        names.map("m_{}".format), st.floats(allow_nan=False, allow_infinity=False), max_size=4
    ),
    texts=st.dictionaries(
        names.map("t_{}".format),
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40),
        max_size=3,
    ),
)


@given(points)
def test_a_line_parses_back_to_its_point(point: Point) -> None:
    measurement, tags, fields, time = parse(written(point))
    assert measurement == point.measurement
    nfc = unicodedata.normalize
    assert {nfc("NFC", k): nfc("NFC", v) or "unknown" for k, v in point.tags.items()} == tags
    assert fields == {**point.counts, **point.measures, **point.texts}
    assert {name: type(value) for name, value in fields.items()} == {
        **dict.fromkeys(point.counts, int),
        **dict.fromkeys(point.measures, float),
        **dict.fromkeys(point.texts, str),
    }
    assert time == point.start * 1_000


@given(st.text(st.characters(), max_size=300))
def test_any_tag_and_text_stays_inside_its_one_line(evil: str) -> None:
    made = written(point(team=evil, texts={"name": evil}))
    assert len(made.splitlines()) == 1
    measurement, tags, fields, _ = parse(made)
    assert measurement == "llm_calls"
    assert tags.keys() == {"team", "view", "window"}
    assert fields.keys() == {"calls", "errors", "input_tokens", "output_tokens", "cost_usd", "name"}
    assert 1 <= len(tags["team"]) <= 128


@pytest.mark.parametrize("evil", INJECTIONS, ids=range(len(INJECTIONS)))
def test_injections_change_neither_tags_nor_fields_nor_the_time(evil: str) -> None:
    made = written(point(team=evil, texts={"name": evil}, **{f"tags.{evil}": evil}))
    assert len(made.splitlines()) == 1
    _, tags, fields, time = parse(made)
    assert len(tags) == 4
    assert fields["calls"] == 4
    assert time == point().start * 1_000


def test_hostile_tags_that_differ_stay_different_series() -> None:
    values = [tag(evil) for evil in [*INJECTIONS, "x" * 99_999, "a", "a_b"]]
    assert len(set(values)) == len(values)


def test_the_empty_tag_is_unknown_and_equal_letters_are_equal_tags() -> None:
    assert tag("") == "unknown"
    assert tag("e\u0301quipe") == "\u00e9quipe"


def test_a_text_field_keeps_its_quotes_and_backslashes() -> None:
    made = written(point(counts={}, measures={}, texts={"name": 'say "hi" \\ bye'}))
    assert (
        made == f'llm_calls,team=search,view=team,window=1h name="say \\"hi\\" \\\\ bye" {point().start}000'
    )


def test_a_measure_that_is_not_finite_is_left_out() -> None:
    made = written(
        point(counts={"calls": 1}, measures={"cost_usd": math.nan, "share": math.inf, "burn_1h": 2})
    )
    assert parse(made)[2] == {"calls": 1, "burn_1h": 2.0}
    with pytest.raises(ValueError, match="no fields"):
        placed(point(counts={}, measures={"cost_usd": math.nan}))


# The quick ways, beside the plain ones


any_points = st.builds(
    Point,
    measurement=st.sampled_from(["llm_calls", "llm_top"]),
    start=st.integers(-(2**52), 2**52),
    tags=st.dictionaries(st.sampled_from(["view", "window", "team"]) | evil, evil, max_size=4),
    counts=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(-(2**63), 2**63 - 1), max_size=2),
    measures=st.dictionaries(st.sampled_from(["c", "d"]), st.floats() | st.integers(0, 9), max_size=2),
    texts=st.dictionaries(st.sampled_from(["e", "f"]), evil, max_size=2),
    upto=st.integers(0, 9),
).filter(lambda point: point.counts or point.texts or any(map(math.isfinite, point.measures.values())))


@given(any_points)
def test_a_line_is_that_of_the_plain_way_but_for_the_spelling_of_floats(point: Point) -> None:
    def spelled(text: str) -> str:
        return FLOAT.sub(lambda found: repr(float(found[0])), text)

    assert spelled(written(point)) == spelled(plain_line(point))


@given(any_points)
def test_a_row_is_that_of_the_plain_way(point: Point) -> None:
    one, plain = placed(point), plain_row(point)
    columns = re.findall(r'"(\w+)"', rows.upsert(one.shape).partition(" VALUES ")[0])[1:]
    assert dict(zip(columns, rows.row(one)[1], strict=True)) == plain


@given(st.lists(any_points, max_size=8))
def test_points_have_one_place_where_measurement_tags_and_start_are_the_same(points: list[Point]) -> None:
    places = {plain_place(point): placed(point).place for point in points}
    assert [places[plain_place(point)] for point in points] == [placed(point).place for point in points]
    assert len(set(places.values())) == len(places)


@given(st.lists(any_points.map(lambda one: msgspec.structs.replace(one, start=one.start % 3)), max_size=12))
def test_of_each_place_the_newest_point_is_written_and_of_equal_ones_the_last(points: list[Point]) -> None:
    sent = [placed(point).point for point in points]  # JSON has no NaN
    sent = [msgspec.structs.replace(one, tags=cleaned(one.tags), texts=cleaned(one.texts)) for one in sent]
    expected: dict[tuple[object, ...], Point] = {}
    for one in sent:
        before = expected.get(plain_place(one))
        if before is None or one.upto >= before.upto:
            expected[plain_place(one)] = one
    found = Newest(Counts(), lambda one: one.point).of(
        [Logged(n, 0, array) for n, array in enumerate(encode(sent))]
    )
    assert {plain_place(one): one for _, one in found.values()} == expected


def cleaned(texts: dict[str, str]) -> dict[str, str]:
    """Without lone surrogates, which JSON can't carry."""

    def clean(text: str) -> str:
        return text.encode(errors="replace").decode()

    return {clean(key): clean(value) for key, value in texts.items()}
