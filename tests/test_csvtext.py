"""No text in any CSV of ours is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmvitals.csvtext import harmless, table
from llmvitals.report.run import history_csv
from llmvitals.store.query import Change, Table, render

EVIL = [
    '=HYPERLINK("http://evil.example","x")', "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(1+1)", "\t=1", "\r=1", "\n=1",
    " =1", "\u00a0=1", "\ufeff=1", "\u200b@x", "＝1+1", "＋1", "－1", "＠SUM(1)", "﹦1", "-", "\ttext",
]  # fmt: skip


@pytest.mark.parametrize("text", EVIL)
def test_a_formula_becomes_a_text_in_every_csv(text: str) -> None:
    query = render(Table(("time", "tags.x", text, "cost"), (("2026", "a", text, -1.5),)), "csv")
    change = Change(
        0, text, "budget", "warning", "firing", "f", "", "e", "50%", text, -1, 2.0, "usd", 0.0, {"a": text}
    )
    history = history_csv([change])
    assert list(csv.reader(io.StringIO(query, newline=""))) == [
        ["time", "tags.x", f"'{text}", "cost"],
        ["2026", "a", f"'{text}", "-1.5"],
    ]
    (row,) = csv.DictReader(io.StringIO(history, newline=""))
    assert (row["rule"], row["by"], float(row["value"])) == (f"'{text}", f"'{text}", -1)


@pytest.mark.parametrize(
    "text", ["", "search", "a=b", "a-b", "1-2", "漢", "'=1", "{}", "_other", "/x", " a "]
)
def test_other_texts_are_as_they_were(text: str) -> None:
    assert harmless(text) == text


def test_json_is_as_it_was() -> None:
    assert '"=1+1"' in render(Table(("team", "cost"), (("=1+1", -1),)), "json")


@given(st.text())
@example("\x00\x1f=1")
def test_no_text_begins_as_a_formula(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(table([[f"{text}."]]), newline=""))
    seen = unicodedata.normalize("NFKC", cell.strip())
    assert not seen.startswith(("=", "+", "-", "@"))
    assert not cell.startswith(("\t", "\r", "\n"))
    assert cell.removeprefix("'").endswith(".")


def test_no_text_is_two_rows() -> None:
    assert table([["a\r=1", "b"]]) == '"a\r=1",b\n'


def test_numbers_stay_numbers() -> None:
    assert table([[-1, -2.5, None, 3]]) == "-1,-2.5,,3\n"
