"""What a message says, and that nothing in it can do harm or be refused."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import unicodedata
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from rich.console import Console

from llmvitals.metrics.quantity import amount, percent, span
from llmvitals.notify.figure import sparkline
from llmvitals.notify.message import notice
from llmvitals.notify.slack.actions import actions
from llmvitals.notify.slack.approval import button
from llmvitals.notify.slack.block_limits import problems
from llmvitals.notify.slack.blocks import blocks, fallback
from llmvitals.notify.slack.bot import chart
from llmvitals.notify.slack.send_test import NOTE
from llmvitals.notify.terminal import draw
from llmvitals.record.alert import Alert, Heavy, Outlook, Unit
from llmvitals.record.matcher import Matcher
from llmvitals.record.notification import MessageState, Muted
from llmvitals.settings import Settings
from llmvitals.wording import clean, escape, moment
from slack_samples import CARDS, HOUR, MINUTE, NOON, TRACES, alert, calls, group, reply, thread, threshold

SLACK = Path(__file__).parents[1] / "data" / "slack"
UPDATE = "UPDATE_SNAPSHOTS" in os.environ
"""Set it to write the snapshots anew; then draw the pictures: `python tests/support/slack_pictures.py`."""


def sent(card: MessageState) -> dict[str, Any]:
    said = notice(card, trace_url=TRACES)
    return {
        "text": fallback(said),
        "blocks": blocks(said, actions=actions(card, button(card)), charts=chart(card)),
    }


def webhook(card: MessageState) -> dict[str, Any]:
    said = notice(card)
    return {"text": fallback(said), "blocks": blocks(said)}


DRAWN: dict[str, Any] = {name: sent(card) for name, card in CARDS.items()}
TRIED = MessageState.alone(threshold(note=NOTE, cause="", trend=[], exemplars=[]))
DRAWN |= {
    "thread": [{"text": text} for text in thread()],
    "webhook": webhook(CARDS["latency"]),
    "send_test": sent(TRIED),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_blocks_are_the_reviewed_ones(name: str) -> None:
    """The files are read by people, and their pictures in docs/slack are looked at."""
    file = SLACK / f"{name}.json"
    if UPDATE:
        file.write_text(json.dumps(DRAWN[name], ensure_ascii=False, indent=1) + "\n", "utf-8")
    assert DRAWN[name] == json.loads(file.read_text("utf-8"))


def test_each_reviewed_message_is_still_drawn_and_has_a_picture() -> None:
    assert {file.stem for file in SLACK.glob("*.json")} == set(DRAWN)
    pictures = Path(__file__).parents[2] / "docs" / "slack"
    assert {file.stem for file in pictures.glob("*.png")} == set(DRAWN) | {"all"}


@pytest.mark.parametrize("name", CARDS)
def test_slack_takes_every_kind_of_message(name: str) -> None:
    assert problems(DRAWN[name]["blocks"]) == []


# --- what people are told ------------------------------------------------------------------------


def shown(card: MessageState, **options: Any) -> str:
    return json.dumps(blocks(notice(card, **options)), ensure_ascii=False)


def test_the_most_important_comes_first() -> None:
    """On a phone at night: what, how bad, whether calls are blocked, where, since when, and only then why."""
    text = shown(CARDS["budget_blocked"])
    order = [
        "search is blocked: all of its monthly budget is used", "critical · TeamMonthlyBudget",
        "$2,084.20 of $2,000 · 104 % · 30 d left", "Calls are blocked until <!date^", "team `search`", "Since <!date^", "Overspent by $84.20", "Why: +$160 an hour", "user `alice`", "4bf92f35", "Runbook", "incident",
    ]  # fmt: skip
    assert [text.index(one) for one in order] == sorted(text.index(one) for one in order)


def test_a_notification_says_it_in_one_line() -> None:
    assert sent(CARDS["outage"])["text"] == (
        "🔴 Major outage of openai · 83 % · limit 50 % · major · critical · ProviderOutage · Error rate, 5m · "
        "provider openai · since <!date^1735732800^{date_short_pretty} {time}|2025-01-01 12:00 UTC>"
    )


def test_of_ten_thousand_alerts_twenty_are_shown_and_the_others_counted() -> None:
    text = shown(group(10_000))
    assert "10,000 alerts" in text
    assert text.count("🟠") == 21
    assert "and 9,980 more" in text


def test_what_all_alerts_share_is_said_once() -> None:
    text = shown(group(12))
    assert text.count("gpt-5") == 1
    assert text.count("limit 4 s") == 1


def test_a_group_that_partly_fires_says_how_many() -> None:
    assert "5 of 12 alerts" in shown(group(12, firing=5))


def test_traces_are_linked_where_a_template_is_set() -> None:
    card = CARDS["latency"]
    trace = card.chief.exemplars[0]
    assert f"<https://x.example/{trace}?a=1|{trace[:8]}>" in shown(
        card, trace_url="https://x.example/{trace_id}?a=1"
    )
    assert f"`{trace}`" in shown(card)
    evil = MessageState.alone(threshold(exemplars=["../a?b=<|>"]))
    assert "<https://x.example/..%2Fa%3Fb%3D%3C%7C%3E|../a?b=&lt;>" in shown(
        evil, trace_url="https://x.example/{trace_id}"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/", "https://{trace_id}.x.example/", "https://x.example{trace_id}", "ftp://x.example/{trace_id}",
        "https://x.example/{trace_id}/{trace_id}", "https://x.example/{trace_id}/{user}", "https://x.example/<{trace_id}",
        "https://x.example/|{trace_id}", "https://me:secret@x.example/{trace_id}", "{trace_id}",
    ],
)  # fmt: skip
def test_a_template_that_could_lead_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="trace_url"):
        Settings(trace_url=url)


def test_a_summary_is_the_authors_or_left_out() -> None:
    """What llmvitals would say by itself stands in the figure and the labels already."""
    own = {"summary": "look at the dashboard"}
    assert "look at" in shown(MessageState.alone(threshold(summary="look at the dashboard", annotations=own)))
    assert "over 5m is" not in shown(CARDS["latency"])


def test_why_an_alert_ended_is_said() -> None:
    over = threshold(status="resolved", until=NOON, summary="slow (resolved: no calls for a day)")
    assert "No calls for a day" in shown(MessageState.alone(over))


def test_who_looks_after_it_and_why_nothing_is_told_is_on_top() -> None:
    card = replace(CARDS["latency"], acknowledged=("A<nn>", NOON), unheard=(Muted("silenced by Ben"),))
    said = blocks(notice(card))[1]
    assert [element["text"] for element in said["elements"][1:]] == [
        "👀 Acknowledged by A&lt;nn&gt;, <!date^1735732800^{date_short_pretty} {time}|2025-01-01 12:00 UTC>",
        "🔕 Silenced by Ben",
    ]
    over = replace(card, status="resolved", until=NOON)
    assert "Ben" not in shown(over)


def test_when_a_silence_ends_is_said_in_the_readers_own_zone() -> None:
    card = CARDS["silenced"]
    said = "Ann until <!date^1735761600^{date_short_pretty} {time}|2025-01-01 20:00 UTC>"
    assert said in shown(card)
    assert said in (reply(CARDS["latency"], card) or "")
    forged = Muted("silenced by 2025-01-01 20:00 UTC")
    assert "Silenced by 2025-01-01 20:00 UTC" in shown(replace(card, unheard=(forged,)))


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([1], ""),
        ([1, 1], "▁▁"),
        ([0, 7], "▁█"),
        ([math.nan, 1, math.inf, 2], "▁█"),
        (range(99), "▁▂▂▃▄▄▅▅▆▇▇█"),
    ],
)
def test_a_trend_is_drawn_of_the_last_dozen_values(values: Any, bars: str) -> None:
    assert sparkline(values) == bars


# --- what a thread hears -------------------------------------------------------------------------

FIRST = MessageState.alone(alert())


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (MessageState.alone(alert(value=1300.0, at=NOON + MINUTE)), None),
        (MessageState.alone(alert(value=1924.4, level="95%")), "rose to 95% ($1,924.40 of $2,000 · 96 %)"),
        (MessageState.alone(alert(level="95%", verdict="block")), "rose to 95% ($1,284.20 of $2,000 · 64 %)\ncalls are blocked"),
        (MessageState.alone(alert(status="resolved", until=NOON + 72 * MINUTE)), "resolved after 1 h 12 min"),
        (replace(FIRST, acknowledged=("Ann", NOON)), "acknowledged by Ann"),
        (replace(FIRST, unheard=(Muted("silenced by Ann"),)), "silenced by Ann"),
        (replace(FIRST, acknowledged=("<!here>", NOON)), "acknowledged by &lt;!here&gt;"),
    ],
)  # fmt: skip
def test_a_reply_says_what_changed(after: MessageState, said: str | None) -> None:
    text = reply(FIRST, after)
    assert (text and re.sub(r"^<!date\^\d+\^\{time\}\|2025-01-01 1\d:\d\d UTC> ", "", text)) == said


def test_a_reply_names_three_alerts_that_joined_and_counts_the_others() -> None:
    text = reply(group(1), group(10)) or ""
    assert "+9 alerts: app `search`" in text
    assert text.count("limit 4 s") == 3
    assert text.endswith(", and 6 more")


def test_a_reply_says_which_alerts_are_over_and_how_many_still_fire() -> None:
    before = group(4)
    ended = [structs.replace(a, status="resolved", at=NOON + HOUR) for a in before.alerts[:2]]
    after = replace(before, firing=2, alerts=(*before.alerts[2:], *ended))
    assert (
        "over: app `answer` (8.78 s · limit 4 s), app `search` (8.39 s · limit 4 s); 2 of 4 still fire"
        in (reply(before, after) or "")
    )


def test_an_incident_that_fires_again_says_so() -> None:
    over = MessageState.alone(alert(status="resolved", until=NOON))
    assert "fires again" in (reply(over, FIRST) or "")


def test_of_an_incident_that_is_over_and_stays_over_nothing_is_said() -> None:
    over = MessageState.alone(alert(status="resolved", until=NOON))
    assert reply(over, over) is None


def test_calls_without_an_exemplar_are_said_to_be_none() -> None:
    assert calls(MessageState.alone(alert(exemplars=[]))) == "No single call stands for this alert."
    assert "call-17" in calls(FIRST)


# --- numbers and texts ---------------------------------------------------------------------------


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
    said = notice(MessageState.alone(alert(labels={f"l{number:02}": "x" for number in range(13)})))
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
    assert notice(MessageState.alone(alert(annotations={"runbook_url": url}))).link == ""


BOARD = "https://g.example/d/llm?var-app={app}&rule={rule}&from={from}&to={to}&team={team}"


def test_a_dashboard_shows_the_series_and_the_time_of_the_incident() -> None:
    evil = threshold(labels={"app": "a&b=<c>|/../?x"}, at=NOON + HOUR)
    link = notice(MessageState.alone(evil), dashboard_url=BOARD).dashboard
    begin, end = NOON // 1_000 - 3_600_000, NOON // 1_000 + 3_600_000 + 900_000
    place = "a%26b%3D%3Cc%3E%7C%2F..%2F%3Fx"
    assert link == f"https://g.example/d/llm?var-app={place}&rule=SlowAnswers&from={begin}&to={end}&team="
    text = json.dumps(blocks(notice(MessageState.alone(evil), dashboard_url=BOARD)))
    assert "|Dashboard>" in text
    several = notice(group(3), dashboard_url=BOARD).dashboard
    assert "var-app=&rule=SlowAnswers" in several
    assert notice(CARDS["latency"]).dashboard == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://{app}.x.example/", "https://x.example{app}", "ftp://x.example/{app}", "https://x.example/{app",
        "https://x.example/{}", "https://x.example/{a b}", "https://x.example/|{app}", "https://me:secret@x.example/",
    ],
)  # fmt: skip
def test_a_dashboard_that_could_lead_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="dashboard_url"):
        Settings(dashboard_url=url)
    assert Settings(dashboard_url=BOARD).dashboard_url == BOARD


def test_a_web_address_cannot_leave_its_link() -> None:
    said = notice(
        MessageState.alone(alert(annotations={"runbook_url": "https://x.example/a|b> <!channel>`"}))
    )
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
said_times = st.lists(
    st.sampled_from(["since 11:45 UTC", "Mon 09:00 UTC", "3 Jan 2025 at 04:58 UTC", "<&"])
).map(" ".join)
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
    notify=st.just({}), facet=st.sampled_from(["", "burn", "forecast"]), note=long | said_times, cause=long | said_times,
    ends=st.none() | times, verdict=st.sampled_from(["", "warn", "block"]) | hostile,
    trend=st.lists(numbers, max_size=30),
    heaviest=st.lists(
        st.builds(Heavy, kind=hostile, name=long, calls=times, cost_nano=times, tokens=times), max_size=7
    ),
    exemplars=st.lists(long, max_size=8), peak=st.none() | numbers,
    outlook=st.none() | st.builds(
        Outlook, rate=st.none() | numbers, window=long, expected=st.none() | numbers, low=st.none() | numbers,
        high=st.none() | numbers, exhausted=st.none() | times, chance=st.none() | numbers,
    ),
    unpriced=st.none() | st.tuples(times, times),
)  # fmt: skip

OURS = re.compile(
    r"<!date\^-?\d+\^(\{date_short_pretty\} )?\{time\}\|[0-9: UTC-]+>|<https?://[^<>|\s`]+\|[^<>|]*>",
    re.ASCII,
)


@st.composite
def cards(draw: st.DrawFn) -> MessageState:
    drawn = draw(st.lists(alerts, min_size=1, max_size=2))
    copies = draw(st.sampled_from([1, 1, 2, 10]))
    told = [structs.replace(a, episode=f"{a.episode}{n}") for n in range(copies) for a in drawn]
    extra = draw(st.integers(0, 10**9) | st.just(0))
    return MessageState(
        incident=draw(long), status=told[0].status, alerts=tuple(told),
        firing=draw(st.integers(0, len(told) + extra)), total=len(told) + extra, since=draw(times),
        until=draw(st.none() | times), acknowledged=draw(st.none() | st.tuples(long, times)), unheard=tuple(draw(st.lists(st.builds(Muted, long, st.none() | times), max_size=2))),
        muted=frozenset(draw(st.lists(st.sampled_from([a.episode for a in told]), max_size=2))),
        blocked=draw(st.none() | st.integers(0, 10**9)), digest=draw(st.booleans()), again=draw(st.none() | times),
        matchers=tuple(draw(st.lists(st.builds(Matcher, hostile, st.just("="), hostile), max_size=4))),
    )  # fmt: skip


few = settings(max_examples=40)


def inert(text: str) -> None:
    """No raw < or > but ours, no half entity, no control characters."""
    rest = OURS.sub("", text)
    assert "<" not in rest
    assert ">" not in rest
    assert re.search(r"&(?!amp;|lt;|gt;)", rest) is None
    assert [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"] == []


@few
@given(cards(), st.sampled_from(["", TRACES, "https://x.example/?q={trace_id}&b"]))
def test_no_card_is_refused_or_inert_no_more(card: MessageState, trace_url: str) -> None:
    """Whatever is in it: within Slack's limits, and nothing in it that Slack would act on."""
    said = notice(card, trace_url=trace_url, dashboard_url=BOARD)
    drawn = blocks(said, actions=actions(card, button(card)), charts=chart(card))
    assert problems(drawn) == []
    for text in (fallback(said), *_texts(drawn)):
        inert(text)
    assert len(fallback(said)) <= 1_000
    json.dumps(drawn, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize("number", [1, 20])
@pytest.mark.parametrize("char", ["&", "<", "😀", "x"])
def test_the_longest_card_fits(char: str, number: int) -> None:
    """Each text as long as it can be, in characters that Slack wants escaped or counts twice."""
    long = char * 3_000
    one = alert(
        rule=long, kind="threshold", metric=long, window=long, level=long, summary=long, note=long + "n",
        cause=long, verdict="block", ends=NOON, trend=[1.5e300, -2.5e300] * 15, peak=7e300, value=-1.5e300, limit=2.5e300, severity=long,
        labels={f"{n}{long}": f"{n}{long}" for n in range(12)}, exemplars=[f"{n}{long}" for n in range(5)],
        annotations={"summary": long, "runbook_url": f"https://x.example/?{'&' * 190}"},
        heaviest=[Heavy(kind=long, name=long, calls=10**12, cost_nano=10**18, tokens=1)] * 3,
    )  # fmt: skip
    told = tuple(
        structs.replace(
            one, episode=f"e{n}", labels={f"{m}{long}": f"{n}{m}{long}" for m in range(12)}, rule=f"{n}{long}"
        )
        for n in range(number)
    )
    card = replace(
        MessageState.alone(one),
        alerts=told,
        total=number * 1_000_000 if number > 1 else 1,
        acknowledged=(long, NOON),
        unheard=(Muted(long, NOON), Muted(long + "2")),
        again=NOON + HOUR,
    )
    drawn = blocks(
        notice(card, trace_url=f"https://t.example/{{trace_id}}?{'&' * 60}", dashboard_url=BOARD),
        actions=actions(card),
        charts=chart(card),
    )
    assert problems(drawn) == []
    assert len(drawn) >= 5


@few
@given(cards(), cards())
def test_no_reply_is_too_long_or_inert_no_more(before: MessageState, after: MessageState) -> None:
    for text in (reply(before, after) or "", reply(after, after) or "", calls(after, trace_url=TRACES)):
        inert(text)
        assert len(text) <= 12_000


@few
@given(cards())
def test_a_terminal_shows_any_card_without_its_control_characters(card: MessageState) -> None:
    shown = StringIO()
    Console(file=shown, width=100, force_terminal=False).print(draw(notice(card), "#alerts"))
    assert [c for c in shown.getvalue() if unicodedata.category(c) in {"Cc", "Cf"} and c != "\n"] == []


def test_a_terminal_shows_the_message_and_not_its_markup() -> None:
    shown = StringIO()
    said = notice(
        MessageState.alone(
            alert(labels={"team": "[bold]search[/bold] :smile:"}, trend=[1, 2], verdict="block")
        )
    )
    Console(file=shown, width=120, force_terminal=False).print(draw(said, "#alerts"))
    for text in (
        "[bold]search[/bold] :smile: is blocked", "critical · TeamMonthlyBudget", "$1,284.20 of $2,000 · 64 %",
        "$1 ▁█ $2", "Calls are blocked",
        "[bold]search[/bold] :smile:", "Top spenders, last 20 min", "user alice · $212.10 · 1,203 calls",
        "2025-01-01 12:00 UTC", "call-17", "https://wiki.example/budgets", "#alerts",
    ):  # fmt: skip
        assert text in shown.getvalue()
    assert all(line.startswith("▌") for line in shown.getvalue().splitlines())


def test_a_terminal_lists_many_alerts() -> None:
    shown = StringIO()
    Console(file=shown, width=120, force_terminal=False).print(draw(notice(group(10_000))))
    assert "● search 8.39 s" in shown.getvalue()
    assert "and 9,980 more" in shown.getvalue()


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


def test_a_reason_is_a_field_and_no_part_of_the_summary() -> None:
    """A summary is its author's: nothing is read out of it, but of alerts of former versions."""
    own = {"summary": "slow (resolved: see the wiki)"}
    over = threshold(
        status="resolved", until=NOON, summary=own["summary"], annotations=own, reason="no calls for a day"
    )
    text = shown(MessageState.alone(over))
    assert "slow (resolved: see the wiki)" in text
    assert "No calls for a day" in text
    assert Alert.decode(over.encode()) == over
    firing = threshold(summary="slow (resolved: see the wiki)")
    assert (firing.summary, firing.reason) == ("slow (resolved: see the wiki)", "")
    former = threshold(status="resolved", summary="slow (resolved: too few calls)")
    assert (former.summary, former.reason) == ("slow", "too few calls")


@pytest.mark.parametrize(
    ("level", "height"),
    [("", 0), ("80%", 80), ("14.4x", 14.4), ("minor", 1), ("major", 2), ("3 metrics", 0), ("no data", 0)],
)
def test_the_height_of_a_level_is_known_in_one_place(level: str, height: float) -> None:
    assert threshold(level=level).height == height
