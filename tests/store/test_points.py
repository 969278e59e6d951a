"""Line protocol: one line per point, whatever the tags hold, and it parses back to the point."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.record.point import Point
from llmvitals.store.points import line, tag
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
points = st.builds(
    Point,
    measurement=names,
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
    measurement, tags, fields, time = parse(line(point))
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
    made = line(point(team=evil, texts={"name": evil}))
    assert len(made.splitlines()) == 1
    made.encode()
    measurement, tags, fields, _ = parse(made)
    assert measurement == "llm_calls"
    assert tags.keys() == {"team", "view", "window"}
    assert fields.keys() == {"calls", "errors", "input_tokens", "output_tokens", "cost_usd", "name"}
    assert 1 <= len(tags["team"]) <= 128


@pytest.mark.parametrize("evil", INJECTIONS, ids=range(len(INJECTIONS)))
def test_injections_change_neither_tags_nor_fields_nor_the_time(evil: str) -> None:
    made = line(point(team=evil, texts={"name": evil}, **{f"tags.{evil}": evil}))
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
    made = line(point(counts={}, measures={}, texts={"name": 'say "hi" \\ bye'}))
    assert (
        made == f'llm_calls,team=search,view=team,window=1h name="say \\"hi\\" \\\\ bye" {point().start}000'
    )


def test_a_measure_that_is_not_finite_is_left_out() -> None:
    made = line(point(counts={"calls": 1}, measures={"cost_usd": math.nan, "share": math.inf, "burn_1h": 2}))
    assert parse(made)[2] == {"calls": 1, "burn_1h": 2.0}
    with pytest.raises(ValueError, match="without fields"):
        line(point(counts={}, measures={"cost_usd": math.nan}))
