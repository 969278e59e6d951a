"""`llmvitals replay FILE --json`: no time after the last call is invented, and incidents tell how they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from frames import points_of
from llmvitals.backtest import replay
from llmvitals.backtest.replay import Replay, replay_lines
from llmvitals.metrics.columns import BUDGET, CALLS
from llmvitals.record.log import Logged, Topic
from llmvitals.settings import Settings

HERE: Final = Path(__file__).parent
HOUR: Final = 3_600
MIDNIGHT: Final = 1_780_272_000
"""1 June 2026, 00:00 UTC, in seconds."""
ROW: Final = {
    "rule", "facet", "labels", "status", "since", "until", "value", "peak", "limit", "verdict", "receivers",
    "messages", "kind", "level", "severity", "unit", "summary", "cause", "outlook", "unpriced",
}  # fmt: skip


def calls(times: range, **fields: Any) -> list[bytes]:
    """Lines of calls at these seconds after midnight."""
    made = (
        {
            "id": f"{fields}-{time}",
            "ts": (MIDNIGHT + time) * 1_000,
            "provider": "openai",
            "model": "gpt-5-mini",
        }
        for time in times
    )
    return [json.dumps(call | fields).encode() for call in made]


def replayed(folder: str, lines: list[bytes], **options: Any) -> dict[str, Any]:
    return replay_lines(lines, Settings(alerts=HERE / folder), **options)


def incidents(outcome: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    return [row for row in outcome["incidents"] if row["rule"] == rule]


def test_no_app_is_silent_after_the_last_line() -> None:
    lines = calls(range(0, 2 * HOUR, 30), app="chat")
    assert incidents(replayed("absence", lines), "Always") == []
    assert incidents(replayed("absence", lines, until="10m"), "Always") == []
    (row,) = incidents(replayed("absence", lines, until="20m"), "Always")
    assert (row["status"], row["labels"], row["value"]) == ("firing", {"app": "chat"}, 20 * 60 * 1_000)
    assert row["messages"], "and somebody is told"


def test_a_silence_between_two_lines_is_one() -> None:
    lines = calls(range(0, 2 * HOUR, 30), app="chat") + calls(range(3 * HOUR, 4 * HOUR, 30), app="chat")
    (row,) = incidents(replayed("absence", lines), "Always")
    assert row["status"] == "resolved"
    assert (row["until"] - row["since"]) // 60_000_000 in range(44, 47)


def test_a_budget_of_a_day_goes_on_until_its_midnight() -> None:
    lines = calls(range(0, 2400, 60), team="red", cost_usd=10)
    (row,) = incidents(replayed("spend", lines), "TeamDay")
    assert (row["status"], row["value"], row["until"]) == ("firing", 400, None)
    (over,) = incidents(replayed("spend", lines, until="24h"), "TeamDay")
    assert (over["status"], over["value"], over["peak"]) == ("resolved", 400, 400)
    assert over["until"] == (MIDNIGHT + 24 * HOUR) * 1_000_000


def test_a_day_is_the_sum_of_its_panes_as_in_a_store() -> None:
    late = calls(range(0, 600, 7), app="b", cost_usd=1, latency_ms=30)
    lines = [*calls(range(3 * HOUR, 27 * HOUR, 400), app="a", latency_ms=50, status="error"), *late]
    found = replayed("spend", lines)["series"]
    stages = Replay.of(Settings(alerts=HERE / "spend", default_views=True))
    logged = [Logged(offset, -1, line) for offset, line in enumerate(lines)]
    points = points_of([*stages.feed(logged[:30]), *stages.feed(logged[30:]), *stages.finish()])
    days = {
        (point.start, *sorted(point.tags.items())): {**point.counts, **point.measures}
        for point in points
        if point.measurement == CALLS and point.tags["window"] == "1d"
    }
    assert len({place[0] for place in days}) == 2
    assert sum(series["late_calls"] for series in found if series["view"] == "all") == len(late)
    assert [{**days[place], "by": 0} for place in sorted(days)] == [
        {name: value for name, value in series.items() if name not in ("view", "day")} | {"by": 0}
        for series in found
    ]


def test_an_incident_says_how_it_stands() -> None:
    (row,) = incidents(replayed("verdicts", calls(range(0, 2400, 60), key="k1", cost_usd=10)), "Blocks")
    assert row.keys() >= ROW
    stated = ("kind", "facet", "level", "labels", "status", "value", "peak", "limit", "unit", "verdict")
    assert {name: row[name] for name in stated} == {
        "kind": "budget",
        "facet": "",
        "level": "100%",
        "labels": {"key": "k1"},
        "status": "firing",
        "value": 400,
        "peak": 400,
        "limit": 100,
        "unit": "usd",
        "verdict": "block",
    }
    # $50 are spent with the fifth call, in the pane that ends after it.
    assert row["since"] == (MIDNIGHT + 4 * 60 + 10) * 1_000_000
    assert row["receivers"] == ["(default)"]
    first, *replies = row["messages"]
    assert "$50" in first
    assert "k1" in first
    assert any("blocked" in reply for reply in replies)


def test_each_series_and_facet_is_a_row_and_goes_to_its_channel() -> None:
    lines = calls(range(0, 60, 60), team="ads", cost_usd=12) + calls(
        range(60, 120, 60), team="hr", cost_usd=6
    )
    rows = incidents(replayed("routes", lines), "TeamDay")
    told = {row["labels"]["team"]: (row["value"], row["receivers"]) for row in rows}
    assert told == {"ads": (12, ["#search-money"]), "hr": (6, ["#money"])}


def test_a_verdict_ends_with_the_alert() -> None:
    lines = calls(range(0, 600, 60), user="ann", cost_usd=3)
    (row,) = incidents(replayed("verdicts", lines), "Rolls")
    assert (row["verdict"], row["value"]) == ("block", 30)
    (over,) = incidents(replayed("verdicts", lines, until="2h"), "Rolls")
    assert (over["verdict"], over["status"], over["peak"]) == ("", "resolved", 30)


@pytest.mark.parametrize("late_hours", [1, 5])
def test_late_spend_is_in_the_ledger_of_its_own_day(late_hours: int) -> None:
    day = 24 * HOUR
    before = calls(range(day - 2 * HOUR, day, 600), team="red", cost_usd=1)
    after = calls(range(day, day + late_hours * HOUR, 600), team="red", cost_usd=1)
    late = calls(range(day - HOUR, day - HOUR + 600, 60), team="red", cost_usd=5, user="slow")
    rest = calls(range(day + late_hours * HOUR, day + 6 * HOUR, 600), team="red", cost_usd=1)
    stages = Replay.of(Settings(alerts=HERE / "late", disorder="0s"))
    now = (MIDNIGHT + 2 * day) * 1_000
    logged = [Logged(n, now, line) for n, line in enumerate([*before, *after, *late, *rest])]
    messages = [*stages.feed(logged), *stages.finish()]
    assert [m for m in messages if m.topic is Topic.ALERTS and b'"Day"' in (m.value or b"")] == []
    points = points_of(messages)
    spent = {
        point.start: point.measures["spent_usd"]
        for point in points
        if point.measurement == BUDGET and point.tags["rule"] == "Day"
    }
    midnight = (MIDNIGHT + day) * 1_000_000
    yesterday = max(time for time in spent if time < midnight)
    assert (spent[yesterday], spent[max(spent)]) == (12 + 50, 36)


@pytest.mark.parametrize("batch", [1, 60, 1_000])
def test_the_answers_do_not_depend_on_the_batches(
    batch: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A budget that is used up in each of six hours, and free again in the next one."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "groups:\n- name: money\n  rules:\n  - alert: Hourly\n"
        "    budget: {metric: cost, limit: 3, per: hour, by: [app], thresholds: [50%, 100%]}\n"
    )
    lines = calls(range(0, 6 * HOUR, 60), app="chat", cost_usd=0.1)
    settings = Settings(alerts=rules)
    whole = replay_lines(lines, settings)
    monkeypatch.setattr(replay, "BATCH", batch)
    again = replay_lines(lines, settings)
    told = [
        [(alert["status"], alert["level"], alert["at"]) for alert in found["alerts"]]
        for found in (whole, again)
    ]
    assert told[0] == told[1]
    assert [status for status, *_ in told[0]].count("resolved") == 6
