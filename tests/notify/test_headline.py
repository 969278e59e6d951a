"""The title says in words what is wrong; the headline is the number that matters."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from llmvitals.notify import terminal
from llmvitals.notify.figure import timed
from llmvitals.notify.message import CIRCLES, notice
from llmvitals.notify.slack.block_limits import problems
from llmvitals.notify.slack.blocks import blocks, fallback
from llmvitals.notify.slack.bot import chart
from llmvitals.record.alert import Heavy, Outlook
from llmvitals.record.notification import MessageState
from slack_samples import (
    BLOCKED,
    BUDGET,
    BURN,
    CARDS,
    DAY,
    FORECAST,
    HOUR,
    LATENCY,
    MINUTE,
    NOON,
    PERIOD_OVER,
    alert,
    group,
    threshold,
)


def title(card: MessageState) -> str:
    return notice(card).title.split(" ", 1)[1]


def headline(card: MessageState) -> list[str]:
    """Times are left out."""
    return [text for text, _ in notice(card).headline]


def shown(card: MessageState) -> str:
    return json.dumps(blocks(notice(card)), ensure_ascii=False)


# --- the title -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("budget", "search has used 96 % of $2,000"),
        ("budget_blocked", "search is blocked: all of its monthly budget is used"),
        ("budget_group", "search is blocked: all of its monthly budget is used"),
        ("budget_many", "8 teams are blocked"),
        ("period_over", "search overspent its monthly budget"),
        ("unpriced", "search has used 50 % of its monthly budget"),
        ("burn", "The monthly budget of search is spent too fast"),
        ("forecast", "The monthly budget of search is likely to be overspent"),
        ("latency", "Latency p95 of answer, gpt-5 is too high"),
        ("outage", "Major outage of openai"),
        ("runaway", "run-4711 called search_flights 412 times within 10m, each time with the same arguments"),
        ("absence", "No calls of billing-bot"),
        ("no_data", "Too few calls of answer, gpt-5 to decide"),
        ("drift", "The content of calls of support-bot has changed"),
        ("canary", "Prompt v8 fails 2.1× as often as v7"),
        ("regression", "Error share of search is unusually high"),
        ("change", "answer: latency p95 1.2 s → 1.9 s; error share 1 % → 3 %"),
        ("change_many", "10 alerts: sudden changes of app"),
        ("group", "12 alerts: latency p95 of app"),
        ("digest", "40 alerts of 2 rules"),
        ("resolved", "Resolved: Latency p95 of answer, gpt-5 was too high"),
        ("group_resolved", "Resolved: 12 alerts: latency p95 of app"),
    ],
)
def test_the_title_says_in_words_what_is_wrong(name: str, words: str) -> None:
    assert title(CARDS[name]) == words


def test_an_authors_summary_is_the_title_and_is_said_once() -> None:
    own = threshold(
        summary="Answers are slow: look at gpt-5", annotations={"summary": "Answers are slow: look at gpt-5"}
    )
    card = MessageState.alone(own)
    assert title(card) == "Answers are slow: look at gpt-5"
    assert shown(card).count("Answers are slow") == 1


def test_an_authors_summary_that_is_too_long_for_a_title_is_said_whole_below() -> None:
    long = "Answers are slow, " * 20 + "so look at gpt-5"
    card = MessageState.alone(threshold(summary=long, annotations={"summary": long}))
    assert title(card).endswith("…")
    assert "so look at gpt-5" in shown(card)


def test_what_the_title_says_of_a_note_is_not_said_again() -> None:
    assert shown(CARDS["canary"]).count("as often as v7") == 1
    assert "4.2 % of 1,240 calls against 2 % of 9,800; at least 1.4×; also worse" in shown(CARDS["canary"])
    note = "spent $40 within 1h; limit $40"
    spent = threshold(kind="runaway", labels={"user": "u-77"}, note=note, summary=f"user=u-77 {note}")
    assert title(MessageState.alone(spent)) == "u-77 spent $40 within 1h"
    assert shown(MessageState.alone(spent)).count("limit $40") == 0


def test_the_severity_and_the_rule_are_said_once_below_the_title() -> None:
    said = blocks(notice(CARDS["latency"]))
    assert said[1]["elements"][0]["text"] == "warning · SlowAnswers · Latency p95, 5m"
    text = json.dumps(said, ensure_ascii=False).lower()
    assert (text.count("warning"), text.count("slowanswers"), text.count("🟠")) == (1, 1, 1)


def test_a_budget_of_all_calls_has_a_title_too() -> None:
    whole = structs.replace(
        BLOCKED, labels={}, summary="$2,084.20 of $2,000 per month is used (104 %): all calls"
    )
    assert title(MessageState.alone(whole)) == "Calls are blocked: all of the monthly budget is used"
    low = threshold(
        labels={}, metric="tokens_per_s", unit="tokens_per_s", value=4.0, limit=20.0, summary="x: all calls"
    )
    assert title(MessageState.alone(low)) == "Tokens per s is too low"


def test_of_several_alerts_a_part_of_which_fires_the_title_says_how_many() -> None:
    assert title(group(12, firing=5)) == "5 of 12 alerts: latency p95 of app"


def test_blocked_users_beyond_what_a_state_holds_are_counted() -> None:
    assert title(replace(CARDS["budget_many"], total=300, firing=300, blocked=290)) == "290 teams are blocked"


# --- the headline --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("budget", ["$1,924.40 of $2,000 · 96 %", "30 d left"]),
        ("burn", ["14.8× too fast, gone by"]),
        ("forecast", ["heading for $2,310 of $2,000"]),
        ("unpriced", ["at least $1,012 of $2,000 · 50 %", "30 d left"]),
        ("period_over", ["Period ended, $60 over"]),
        ("peak", ["now 3.1 s", "peak 9.8 s", "limit 4 s"]),
        ("latency", ["6.24 s", "limit 4 s"]),
        ("resolved", ["Lasted 1 h 12 min", "peak 9.8 s", "limit 4 s"]),
        ("group_resolved", ["Lasted 1 h 12 min"]),
        ("no_data", ["3 calls · 50 are needed"]),
    ],
)
def test_the_headline_is_the_number_that_matters(name: str, numbers: list[str]) -> None:
    assert headline(CARDS[name]) == numbers


def test_when_a_budget_will_be_gone_is_said_once_in_the_readers_own_zone() -> None:
    text = shown(CARDS["burn"])
    assert "14.8× too fast, gone by <!date^1735880280^" in text
    assert "$41.20 within 1 h" in text
    assert "CET" not in text


def test_below_a_forecast_is_how_sure_it_is() -> None:
    text = shown(CARDS["forecast"])
    assert "likely between $2,040 and $2,610 · chance to overspend 93 % · now $702.30 of $2,000" in text
    assert "CET" not in text


def test_of_a_budget_without_an_outlook_the_note_is_said_whole() -> None:
    """Alerts of former versions know no outlook."""
    former = MessageState.alone(structs.replace(BURN, outlook=None))
    assert headline(former) == ["14.4× too fast"]
    assert "exhausted in 1 d 16 h" in shown(former)
    assert headline(MessageState.alone(structs.replace(FORECAST, outlook=None)))[0].startswith(
        "$702.30 of $2,000"
    )


def test_the_pace_of_a_budget_is_below_its_figure() -> None:
    text = shown(CARDS["budget"])
    assert "1.6× the even rate over 1h · gone by <!date^1735844400^" in text
    heading = structs.replace(BUDGET, outlook=Outlook(expected=1_990.0))
    assert "heading for $1,990" in shown(MessageState.alone(heading))


def test_calls_without_a_price_are_counted() -> None:
    assert "1,204 of 2,400 calls have no price" in shown(CARDS["unpriced"])


def test_a_period_that_was_overspent_is_not_green() -> None:
    over = notice(CARDS["period_over"])
    assert (over.colour, over.title[0]) == ("grey", CIRCLES["grey"])
    kept = MessageState.alone(structs.replace(PERIOD_OVER, value=1_082.0))
    assert notice(kept).colour == "green"
    assert headline(kept) == ["Period ended at $1,082 of $2,000"]
    assert title(kept) == "search kept to its monthly budget"
    least = MessageState.alone(structs.replace(PERIOD_OVER, value=1_082.0, unpriced=(3, 9)))
    assert headline(least) == ["Period ended, at least $1,082 of $2,000"]


def test_what_must_not_fall_has_a_lowest_value() -> None:
    low = threshold(value=12.0, peak=4.0, limit=20.0, unit="tokens_per_s", metric="tokens_per_s")
    assert headline(MessageState.alone(low)) == ["now 12 tokens/s", "lowest 4 tokens/s", "limit 20 tokens/s"]


def test_a_resolved_alert_of_a_former_version_has_no_peak() -> None:
    over = threshold(status="resolved", value=2_900.0, at=NOON + HOUR, until=NOON + HOUR)
    assert headline(MessageState.alone(over)) == ["Lasted 1 h", "limit 4 s"]
    assert title(MessageState.alone(over)) == "Resolved: Latency p95 of answer, gpt-5 was too high"


# --- lists ---------------------------------------------------------------------------------------


def test_each_alert_of_one_budget_says_which_it_is() -> None:
    text = shown(CARDS["budget_group"])
    assert "level 100% · $2,084.20 · 104 % · blocked" in text
    assert "burn rate 14.8× · $2,084.20 · 104 %" in text
    assert "forecast $2,810 · $2,084.20 · 104 %" in text
    assert text.count("period ends <!date^") == 1


def test_what_is_muted_is_last_marked_and_not_counted() -> None:
    text = shown(CARDS["budget_many"])
    assert "8 teams are blocked" in text
    assert text.count("🔕") == 1
    assert text.index("🔕 `notes`") > text.index("`hr`")
    first = replace(CARDS["budget_many"], muted=frozenset({"search"}))
    assert shown(first).index("🔕 `search`") > shown(first).index("`notes`")


def test_the_top_spenders_of_the_first_alert_are_kept_in_a_list() -> None:
    assert "Top spenders of search, last 20 min" in shown(CARDS["budget_many"])
    assert "user `alice` · $212.10 · 1,203 calls" in shown(CARDS["budget_many"])


def test_an_alert_about_errors_names_them_in_place_of_top_spenders() -> None:
    texts = [block["text"]["text"] for block in blocks(notice(CARDS["outage"])) if block["type"] == "section"]
    lines = "*Errors, last 20 min*\n`rate_limit in chat` · 412 calls\n`timeout in search` · 87 calls"
    assert lines in texts
    plain = terminal.text(CARDS["outage"])
    assert "Errors, last 20 min\nrate_limit in chat · 412 calls\ntimeout in search · 87 calls" in plain
    assert "Top spenders" not in shown(CARDS["outage"]) + plain


def test_a_long_error_keeps_its_app_and_a_hostile_one_is_text() -> None:
    names = f"{'x' * 100} in chat", "<!channel> *boo*\u202e in chat"
    heavy = [Heavy(kind="error", name=name, calls=1, cost_nano=0, tokens=0) for name in names]
    said = shown(MessageState.alone(structs.replace(CARDS["outage"].chief, heaviest=heavy)))
    assert f"`{'x' * 100} in chat` · 1 call" in said
    assert "&lt;!channel&gt;" in said
    assert "<!channel>" not in said


def test_budgets_whose_periods_end_at_different_times_say_so_in_each_line() -> None:
    one, other = (
        BLOCKED,
        structs.replace(BLOCKED, episode="b", fingerprint="b", labels={"team": "ops"}, ends=NOON + DAY),
    )
    card = MessageState(incident="i", status="firing", alerts=(one, other), firing=2, total=2, since=NOON)
    assert shown(card).count("period ends <!date^") == 2


# --- times and bars ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("p95 1 s → 2 s since 11:45 UTC", [NOON - 15 * MINUTE]),
        ("since 12:05 UTC", [NOON - DAY + 5 * MINUTE]),  # it is not yet that late today
        ("since Mon 09:00 UTC", [NOON - 2 * DAY - 3 * HOUR]),
        ("since 30 Dec 09:00 UTC; more since 11:00 UTC", [NOON - 2 * DAY - 3 * HOUR, NOON - HOUR]),
        ("on Fri 3 Jan 2025 at 04:58 UTC", [NOON + DAY + 16 * HOUR + 58 * MINUTE]),
        ("on Fri 3 Jan 2025 at 05:58 CET", []),
        ("at 29:99 UTC, 31 Feb 10:00 UTC, nothing", []),
    ],
)  # fmt: skip
def test_times_in_texts_of_detectors_are_found(text: str, times: list[int]) -> None:
    parts = timed(text, NOON)
    assert [time for _, time in parts if time is not None] == times
    if not times:
        assert parts == ((text, None),)


@pytest.mark.parametrize("name", CARDS)
def test_a_message_has_one_clock(name: str) -> None:
    """A time in UTC stands only where Slack can't show the reader's own."""
    for text in (shown(CARDS[name]), fallback(notice(CARDS[name]))):
        assert text.count("UTC") == text.count("UTC>")


def test_bars_stand_between_their_ends() -> None:
    assert "1.2 s ▁▂▅█▆▃ 3.1 s" in shown(CARDS["peak"])
    assert notice(MessageState.alone(structs.replace(LATENCY, trend=[5.0]))).trend == ""


def test_a_chart_shows_the_value_against_its_limit_in_place_of_the_bars() -> None:
    (drawn,) = chart(CARDS["peak"])
    lines = {one["name"]: [point["value"] for point in one["data"]] for one in drawn["chart"]["series"]}
    assert lines == {"Latency p95": [1.2, 2.4, 6.24, 9.8, 7.0, 3.1], "limit": [4.0] * 6}
    axes = drawn["chart"]["axis_config"]
    assert axes["categories"] == ["-5", "-4", "-3", "-2", "-1", "now"]
    assert (axes["x_label"], axes["y_label"]) == ("steps of the last 5m", "seconds")
    with_chart = blocks(notice(CARDS["peak"]), charts=[drawn])
    assert problems(with_chart) == []
    assert "▁" not in json.dumps(with_chart, ensure_ascii=False)
    share = threshold(
        metric="error_share", unit="share", value=0.4, limit=0.01, bound="usual", trend=[0.1, 0.4]
    )
    (other,) = chart(MessageState.alone(share))
    assert [one["name"] for one in other["chart"]["series"]] == ["Error share", "usual"]
    assert other["chart"]["series"][0]["data"][1] == {"label": "now", "value": 40.0}


@pytest.mark.parametrize("name", ["budget", "resolved", "group", "digest", "drift", "absence"])
def test_without_a_trend_against_a_limit_there_is_no_chart(name: str) -> None:
    assert chart(CARDS[name]) == []


def test_numbers_that_are_none_do_no_harm() -> None:
    nan: Any = float("nan")
    odd = structs.replace(BURN, outlook=Outlook(rate=nan, expected=nan, low=nan, high=nan, chance=nan))
    assert headline(MessageState.alone(odd))
    assert shown(MessageState.alone(structs.replace(odd, facet="forecast")))
    assert alert(peak=nan).peak is nan


def test_the_severity_is_said_once():
    labels = {"team": "search", "severity": "critical"}
    state = MessageState.alone(structs.replace(CARDS["budget"].chief, severity="critical", labels=labels))
    assert notice(state).labels == (("team", "search"),)
    assert notice(state).about.startswith("critical")
