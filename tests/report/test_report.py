"""`alerts history` and `alerts report`: a fixed fortnight in either store, every figure worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from llmvitals.cli.tables.history import print_history, print_report
from llmvitals.errors import ConfigError, SinkError
from llmvitals.incidents.intake import State
from llmvitals.incidents.intake import point as changed
from llmvitals.record.alert import Alert, fingerprint
from llmvitals.record.log import Logged
from llmvitals.record.point import Point
from llmvitals.report import run
from llmvitals.report.run import Report, history, report
from llmvitals.report.summary import RuleSummary, Spread
from llmvitals.settings import Settings
from llmvitals.store.registry import store_sink
from store_points import NOW

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
END = NOW * SECOND
TODAY = END - END % DAY

RULES = """
groups:
- name: g
  labels: {severity: warning}
  rules:
  - alert: SlowAnswers
    threshold: {metric: latency_p95, above: 4s, by: [app, model], window: 5m, min_calls: 20}
    keep_firing_for: 1m
  - alert: Dear
    threshold: {metric: cost, above: 100, by: [team], window: 10m}
  - alert: Provider
    threshold: {metric: error_share, above: 20%, by: [provider], window: 5m}
  - alert: Hourly
    budget: {metric: cost, limit: 75, per: hour, thresholds: [50%, 100%]}
"""
SEARCH = {"app": "search", "model": "gpt-5"}


def alert(rule: str, begin: int, **more: Any) -> Alert:
    """The first firing of an alert at `begin`."""
    labels = more.pop("labels", {})
    mark = fingerprint(rule, labels)
    fields: dict[str, Any] = {
        "rule": rule, "kind": "threshold", "status": "firing", "severity": "warning", "fingerprint": mark,
        "episode": f"{mark}-{begin}", "group": "g", "labels": labels, "metric": "m", "unit": "ms",
        "value": 5_000.0, "limit": 4_000.0, "since": begin, "at": begin,
    }  # fmt: skip
    return Alert(**fields | more)


def life(told: Alert, lasts: int | None, *acknowledged: tuple[int, str]) -> list[bytes]:
    """The points of an alert's firing, its acknowledgements (how long after, by whom) and its end."""
    changes: list[tuple[State, int, str]] = [("firing", told.at, "")]
    changes += [("acknowledged", told.at + after, by) for after, by in acknowledged]
    if lasts is not None:
        changes.append(("resolved", told.at + lasts, ""))
    return [changed(told, state, at=at, by=by).value or b"" for state, at, by in changes]


def slow() -> list[bytes]:
    """Twelve alerts of one series: ten of 2 minutes, two of 20; three come back; four begin at night."""
    night, noon = 23 * HOUR, 12 * HOUR
    begins = [TODAY - 2 * DAY + night, TODAY - 2 * DAY + night + 12 * MINUTE]  # back after 10 min
    begins += [TODAY - 3 * DAY + night, TODAY - 3 * DAY + night + 12 * MINUTE]  # back after 10 min
    begins += [TODAY - 4 * DAY + noon, TODAY - 4 * DAY + noon + 22 * MINUTE]  # back after 20 min
    begins += [TODAY - days * DAY + noon for days in (5, 6, 7, 8)]
    short = [
        point for begin in begins for point in life(alert("SlowAnswers", begin, labels=SEARCH), 2 * MINUTE)
    ]
    first = alert("SlowAnswers", TODAY - 9 * DAY + noon, labels=SEARCH)
    second = alert("SlowAnswers", TODAY - 10 * DAY + noon, labels=SEARCH)
    return [
        *short,
        *life(first, 20 * MINUTE, (3 * MINUTE, "ada")),
        *life(second, 20 * MINUTE, (9 * MINUTE, "bob"), (10 * MINUTE, "ada")),
    ]


def budget() -> list[bytes]:
    """A budget that reached its second step and ended, and one that goes on."""
    begin = TODAY - DAY + 10 * HOUR
    told = alert("Hourly", begin, kind="budget", unit="usd", value=38.0, limit=75.0, level="50%")
    higher = alert("Hourly", begin, kind="budget", unit="usd", value=75.2, limit=75.0, level="100%")
    level = changed(higher, "level", at=begin + 10 * MINUTE).value or b""
    return [*life(told, 50 * MINUTE), level, *life(alert("Hourly", END - HOUR, unit="usd", limit=75.0), None)]


def calls(view: str, start: int, count: int, measures: dict[str, float], **series: str) -> bytes:
    """A stored window of 5 minutes."""
    tags = {"view": view, "window": "5m", **series}
    counts = {"calls": count}
    return Point(measurement="llm_calls", start=start, tags=tags, counts=counts, measures=measures).encode()


def past() -> list[bytes]:
    """Latencies of 100 hours, 50 ms to 5 s, and what three hours cost."""
    first = TODAY - 5 * DAY
    made = [
        calls("app_model", first + hour * HOUR, 20, {"latency_ms_p95": 50.0 * (hour + 1)}, **SEARCH)
        for hour in range(100)
    ]
    made += [
        # Not the worst of its hour; and too few calls to count.
        calls("app_model", first + 99 * HOUR + 5 * MINUTE, 20, {"latency_ms_p95": 4_990.0}, **SEARCH),
        calls("app_model", first + 10 * MINUTE, 19, {"latency_ms_p95": 99_999.0}, **SEARCH),
    ]
    spent = [(0, 30.0), (5, 30.0), (60, 50.0), (120, 20.0)]
    return [*made, *(calls("team", first + at * MINUTE, 1, {"cost_usd": usd}, team="a") for at, usd in spent)]


@pytest.fixture(params=["sqlite", pytest.param("influx", marks=pytest.mark.influx)])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Settings]:
    """A store that holds the fortnight, and a folder of rules."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES)
    where: dict[str, Any] = {"sqlite": tmp_path / "vitals.sqlite"}
    if request.param == "influx":
        there = request.getfixturevalue("influx")
        where = {f"influx_{name}": getattr(there, name) for name in ("url", "token", "org", "bucket")}
    found = Settings(alerts=tmp_path / "rules", **where)
    writer = store_sink(found)
    assert writer is not None
    await writer.start()
    values = [*slow(), *budget(), *past()]
    await writer.take(0, [Logged(offset, 0, value) for offset, value in enumerate(values)])
    yield found
    await writer.stop()


async def test_history_is_every_change_in_the_order_of_time(settings: Settings):
    found = await history(settings, "14d", clock=lambda: NOW)
    assert [change.at for change in found] == sorted(change.at for change in found)
    assert len(found) == 12 * 2 + 3 + 4
    one = next(change for change in found if change.by == "bob")
    assert (one.state, one.rule, dict(one.labels), one.unit) == ("acknowledged", "SlowAnswers", SEARCH, "ms")
    assert (one.value, one.limit, one.seconds) == (5_000.0, 4_000.0, 540.0)
    level = next(change for change in found if change.state == "level")
    assert (level.rule, level.level, level.value) == ("Hourly", "100%", 75.2)


async def test_history_of_one_rule_within_a_shorter_time(settings: Settings):
    found = await history(settings, "25h", "Hourly", clock=lambda: NOW)
    assert [(change.rule, change.state) for change in found] == [("Hourly", "firing")]


def line(found: Report, rule: str) -> RuleSummary:
    """What the report says of a rule."""
    return next(line for line in found.lines if line.record.rule == rule)


async def test_a_rules_line_holds_what_its_episodes_come_to(settings: Settings):
    found = await report(settings, "14d", clock=lambda: NOW)
    slow = line(found, "SlowAnswers")
    assert (slow.record.fired, slow.record.series, slow.record.flaps, slow.record.open) == (12, 1, 3, 0)
    assert slow.record.per_week == pytest.approx(6)
    assert slow.acknowledge == Spread(2, 6 * MINUTE, 9 * MINUTE)
    assert slow.resolve == Spread(12, 2 * MINUTE, 20 * MINUTE)
    assert slow.night == pytest.approx(4 / 12)
    hourly = line(found, "Hourly")
    assert (hourly.record.fired, hourly.record.open) == (2, 1)
    assert (hourly.record.worst, hourly.record.limit) == (5_000.0, 75.0)
    assert (hourly.acknowledge, hourly.resolve) == (None, Spread(1, 50 * MINUTE, 50 * MINUTE))


async def test_night_is_where_people_sleep(settings: Settings):
    found = await report(settings, "14d", "Asia/Tokyo", clock=lambda: NOW)
    # Noon in UTC is 21:00 there, and 22 minutes later is not yet 22:00; 23:00 is 8 in the morning.
    assert line(found, "SlowAnswers").night == 0
    assert line(found, "Hourly").night == pytest.approx(1 / 2)
    assert ZoneInfo("Asia/Tokyo").key == found.zone


async def test_silent_rules_and_noisy_series_are_named(settings: Settings):
    found = await report(settings, "14d", clock=lambda: NOW)
    assert [line.record.rule for line in found.lines if not line.record.fired] == ["Dear", "Provider"]
    assert [(noisy.rule, dict(noisy.labels), noisy.fired) for noisy in found.noisiest] == [
        ("SlowAnswers", SEARCH, 12),
        ("Hourly", {}, 2),
    ]


async def test_advice_follows_from_how_long_breaches_were_and_how_soon_they_came_back(settings: Settings):
    found = await report(settings, "14d", clock=lambda: NOW)
    assert [(piece.rule, piece.change) for piece in found.advice] == [
        ("SlowAnswers", "try for: 2m"),
        ("SlowAnswers", "try keep_firing_for: 30m"),
    ]
    hold, keep = (piece.why for piece in found.advice)
    assert "6 times a week" in hold
    assert "within 1m" in hold
    assert "1 a week would be left" in hold
    assert "3 of its 12 alerts came back" in keep
    assert "3 of them would have been one" in keep


async def test_limits_are_held_against_what_the_store_knows(settings: Settings):
    levels = {level.rule: level for level in (await report(settings, "14d", clock=lambda: NOW)).levels}
    slow = levels["SlowAnswers"]
    # 4,050 ms … 5,000 ms: 20 hours in two weeks. Two hours were beyond 4.9 s.
    assert (slow.beyond, slow.once) == (pytest.approx(10, rel=1e-6), 4_900.0)
    assert (slow.window, slow.values, slow.series) == ("5m", 101, 1)
    dear = levels["Dear"]
    # Within 10 minutes $60, $50 and $20 were spent in three hours; two of them were beyond $20.
    assert (dear.beyond, dear.once, dear.limit) == (0, 20.0, 100.0)
    assert "no stored view" in levels["Provider"].why
    assert "Hourly" not in levels


async def test_the_page_and_its_json_say_the_same(settings: Settings):
    found = await report(settings, "14d", clock=lambda: NOW)
    console = Console(file=io.StringIO(), width=130)
    print_report(found, console)
    page = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (
        "14 alerts of 2 rules in 14 days",
        "try for: 2m",
        "Dear, Provider",
        "4.9 s",
        "12 × SlowAnswers",
    ):
        assert text in page
    plain = json.loads(json.dumps(run.report_plain(found)))
    assert plain["never_fired"] == ["Dear", "Provider"]
    assert plain["rules"][0]["acknowledge"] == {"count": 2, "median_s": 360.0, "p90_s": 540.0}
    assert plain["begin"] == "2026-05-14T20:26:40Z"


async def test_history_as_json_csv_and_table(settings: Settings):
    found = await history(settings, "14d", clock=lambda: NOW)
    rows = json.loads(run.history_json(found))
    lines = list(csv.DictReader(io.StringIO(run.history_csv(found))))
    assert [row["episode"] for row in rows] == [line["episode"] for line in lines]
    assert json.loads(lines[0]["labels"]) == rows[0]["labels"] == SEARCH
    console = Console(file=io.StringIO(), width=130)
    print_history(found, console)
    assert "app search, model gpt-5" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "acknowledged" in console.file.getvalue()  # type: ignore[attr-defined]


async def test_without_a_store_or_points_one_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="LLMVITALS_SQLITE"):
        await history(Settings(), "7d")
    with pytest.raises(SinkError, match="a worker makes it"):
        await history(Settings(sqlite=tmp_path / "none.sqlite"), "7d")
    with pytest.raises(ConfigError, match="--since: 'soon'"):
        await history(Settings(sqlite=tmp_path / "none.sqlite"), "soon")
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        await run.report(Settings(sqlite=tmp_path / "none.sqlite"), "7d", "Mars")
