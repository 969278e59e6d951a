"""What a message says, and that nothing in it can do harm or be refused."""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from llmvitals.notify.limits import problems
from llmvitals.notify.message import blocks, fallback, notice
from llmvitals.notify.terminal import draw
from llmvitals.notify.wording import clean, escape, moment
from llmvitals.record.alert import Alert, Heavy, Unit
from llmvitals.record.quantity import amount, percent, span

SLACK = Path(__file__).parent / "data" / "slack"
NOON = 1_735_732_800_000_000  # 2025-01-01 12:00 UTC
MINUTE = 60_000_000


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "rule": "TeamMonthlyBudget",
        "kind": "budget",
        "status": "firing",
        "severity": "critical",
        "fingerprint": "0123456789abcdef",
        "episode": "0123456789abcdef-1",
        "group": "budgets",
        "labels": {"team": "search", "environment": "prod"},
        "metric": "cost",
        "unit": "usd",
        "value": 1284.2,
        "limit": 2000,
        "level": "50%",
        "window": "month",
        "since": NOON,
        "at": NOON,
        "summary": "search has used 64 % of $2,000",
        "annotations": {"runbook_url": "https://wiki.example/budgets?team=search&page=1"},
        "heaviest": [
            Heavy(kind="user", name="alice", calls=1203, cost_nano=212_100_000_000, tokens=3_400_000),
            Heavy(kind="model", name="gpt-5", calls=900, cost_nano=98_500_000_000, tokens=950),
        ],
        "exemplars": ["4bf92f3577b34da6a3ce929d0e0e4736", "call-17"],
    }
    return Alert(**(fields | changes))


SAMPLES = {
    "firing": alert(),
    "changed": alert(value=1999.99, level="95%", at=NOON + 90 * MINUTE, summary="search nears $2,000"),
    "resolved": alert(status="resolved", value=1999.99, at=NOON + 72 * MINUTE, until=NOON + 72 * MINUTE),
    "latency": alert(
        rule="SlowAnswers", kind="threshold", severity="warning", metric="latency_p95", unit="ms",
        value=4217.3, limit=4000, level="", window="5m", summary="", heaviest=[], annotations={},
        labels={"app": "<!channel>", "model": "<https://evil.example|gpt-5> & `co`"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_the_blocks_are_the_reviewed_ones(name: str) -> None:
    """The files are read by people; paste one into Slack's Block Kit Builder to see it."""
    expected = json.loads((SLACK / f"{name}.json").read_text("utf-8"))
    said = notice(SAMPLES[name])
    assert {"text": fallback(said), "blocks": blocks(said)} == expected


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1284.2, "usd", "$1,284.20"), (2000, "usd", "$2,000"), (0, "usd", "$0"), (0.5, "usd", "$0.50"),
        (0.064, "usd", "$0.064"), (0.0000042, "usd", "$0.0000042"), (-3.1, "usd", "-$3.10"),
        (4200, "ms", "4.2 s"), (850, "ms", "850 ms"), (0.5, "ms", "0.5 ms"), (125_000, "ms", "2 min 5 s"),
        (0.12, "share", "12 %"), (0.1234, "share", "12.3 %"), (1.0, "share", "100 %"),
        (1203, "count", "1,203"), (1_284_200, "tokens", "1.28M tokens"), (12_480, "tokens", "12,480 tokens"),
        (38.2, "tokens_per_s", "38.2 tokens/s"), (12.4, "per_s", "12.4/s"), (0.82, "score", "0.82"),
        (float("nan"), "usd", "unknown"),
    ],
)  # fmt: skip
def test_amounts_read_as_people_write_them(value: float, unit: Unit, text: str) -> None:
    assert amount(value, unit) == text


@pytest.mark.parametrize("unit", get_args(Unit))
@pytest.mark.parametrize("value", [sys.float_info.max, -sys.float_info.max, sys.float_info.min, math.inf])
def test_any_number_can_be_said(value: float, unit: Unit) -> None:
    assert amount(value, unit)


def test_a_limit_is_not_said_to_be_reached_before_it_is() -> None:
    assert percent(1999.99, 2000) == "99 %"
    assert percent(2000, 2000) == "100 %"
    assert percent(0.29, 1) == "29 %"  # 0.29 * 100 is a little less than 29
    assert percent(25_000, 2000) == "1,250 %"
    assert percent(1, 0) == ""


def test_lengths_of_time_have_two_units() -> None:
    assert span(72 * MINUTE) == "1 h 12 min"
    assert span(45_000_000) == "45 s"
    assert span(24 * 60 * MINUTE + 5_000_000) == "1 d"
    assert span(-1) == "less than 1 s"
    assert moment(NOON) == "2025-01-01 12:00 UTC"
    assert moment(2**62) == "unknown"


def test_a_texts_entity_is_never_cut_in_two() -> None:
    assert escape("<<<", 8) == "&lt;…"
    assert escape("<<", 8) == "&lt;&lt;"
    assert escape("ab😀", 3) == "ab…"
    assert escape("ab😀", 4) == "ab😀"


def test_more_than_ten_labels_say_how_many_more() -> None:
    said = notice(alert(labels={f"l{number:02}": "x" for number in range(13)}))
    assert len(said.labels) == 10
    assert said.labels[-1] == ("and", "4 more labels")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://x.example/",
        "https://",
        "",
        "wiki/budgets",
        "https://x.example/" + "ü" * 900,
    ],
)
def test_only_a_web_address_becomes_a_link(url: str) -> None:
    assert notice(alert(annotations={"runbook_url": url})).link == ""


def test_a_web_address_cannot_leave_its_link() -> None:
    said = notice(alert(annotations={"runbook_url": "https://x.example/a|b> <!channel>`"}))
    assert said.link == "https://x.example/a%7Cb%3E%20%3C!channel%3E%60"


# Text in which Slack's, the terminal's and Unicode's control characters are not rare.
hostile = st.text(
    st.one_of(
        st.sampled_from("<>&|`*_~@#!:\n\r\t\x00\x1b\x07\u202e\u2066\u200b\u2028\ufeff😀[]/\\"),
        st.characters(),
    ),
    max_size=400,
)
long = st.one_of(hostile, st.builds(lambda text, n: text * n, hostile, st.integers(1, 50)))
units = st.sampled_from(get_args(Unit))
times = st.integers(-(2**63), 2**63 - 1)
numbers = st.floats(allow_nan=True, allow_infinity=True)
alerts = st.builds(
    Alert,
    rule=long, kind=st.sampled_from(["budget", "threshold"]), status=st.sampled_from(["firing", "resolved"]),
    severity=long, fingerprint=hostile, episode=long, group=hostile,
    labels=st.dictionaries(hostile, long, max_size=15), metric=long, unit=units, value=numbers, limit=numbers,
    level=long, window=long, since=times, at=times, until=st.none() | times, summary=long,
    annotations=st.fixed_dictionaries({}, optional={"runbook_url": long | hostile.map("https://x.example/".__add__)}),
    notify=st.just({}),
    heaviest=st.lists(
        st.builds(Heavy, kind=hostile, name=long, calls=times, cost_nano=times, tokens=times), max_size=7
    ),
    exemplars=st.lists(long, max_size=8),
)  # fmt: skip

OURS = re.compile(
    r"<!date\^-?\d+\^\{date_short_pretty\} \{time\}\|[0-9: UTC-]+>|<https?://[^<>|\s`]+\|Runbook>", re.ASCII
)


@given(alerts)
def test_no_alert_is_refused_or_inert_no_more(any_alert: Alert) -> None:
    """Whatever is in an alert: within Slack's limits, no raw < or > but ours, no control characters."""
    said = notice(any_alert)
    drawn = blocks(said)
    assert problems(drawn) == []
    texts = [fallback(said), *_texts(drawn)]
    for text in texts:
        rest = OURS.sub("", text)
        assert "<" not in rest
        assert ">" not in rest
        assert re.search(r"&(?!amp;|lt;|gt;)", rest) is None
        assert [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"] == []
    assert len(texts[0]) <= 1_000
    json.dumps(drawn, ensure_ascii=False).encode("utf-8")


@given(alerts)
def test_a_terminal_shows_any_alert_without_its_control_characters(any_alert: Alert) -> None:
    shown = StringIO()
    Console(file=shown, width=100, force_terminal=False).print(draw(notice(any_alert), "#alerts"))
    assert [c for c in shown.getvalue() if unicodedata.category(c) in {"Cc", "Cf"} and c != "\n"] == []


def test_a_terminal_shows_the_message_and_not_its_markup() -> None:
    shown = StringIO()
    said = notice(alert(labels={"team": "[bold]search[/bold] :smile:"}))
    Console(file=shown, width=120, force_terminal=False).print(draw(said, "#alerts"))
    for text in (
        "Critical: TeamMonthlyBudget", "search has used 64 %", "$1,284.20 of $2,000 · 64 %",
        "[bold]search[/bold] :smile:", "Heaviest, last minutes", "1. user alice · $212.10 · 1,203 calls · 3.4M tokens",
        "2025-01-01 12:00 UTC", "call-17", "https://wiki.example/budgets", "#alerts",
    ):  # fmt: skip
        assert text in shown.getvalue()
    assert all(line.startswith("▌") for line in shown.getvalue().splitlines())


@given(hostile, st.integers(2, 50))
def test_clean_text_stays_as_it_is(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert "\n" not in once


def _texts(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["text"]] if isinstance(part.get("text"), str) else []
        return own + [text for value in part.values() for text in _texts(value)]
    return [text for value in part for text in _texts(value)] if isinstance(part, list) else []
