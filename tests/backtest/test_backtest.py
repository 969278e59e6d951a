"""`alerts backtest`: episodes worked out by hand, the worker's own alerts, two folders, a file and a topic."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from backtests import HOUR, MINUTE, NOON, SECOND, comparable, evaluate, folder, worker_alerts
from commands import said
from llmvitals.backtest import evaluator as trial
from llmvitals.backtest import run
from llmvitals.backtest.episodes import Episode, Span, differences, episodes, records
from llmvitals.backtest.replay import replay_lines
from llmvitals.backtest.run import Outcome
from llmvitals.cli.tables.history import print_outcome
from llmvitals.errors import ConfigError
from llmvitals.publisher.file import publish_lines
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged
from llmvitals.runtime.kafka import past_calls
from llmvitals.settings import Settings
from waiting import eventually

FAILS = """
groups:
- name: g
  labels: {{severity: warning}}
  rules:
  - alert: Fails
    threshold: {{metric: error_share, above: {limit}, by: [app], window: 1m, min_calls: 10}}
  - alert: Silent
    threshold: {{metric: error_share, above: 99%, by: [team], window: 1m, min_calls: 1000}}
"""


def call(number: int, at: int, **fields: Any) -> bytes:
    """A call that ended at a time, µs."""
    plain = {"id": f"c{number}", "ts": at // 1_000, "model": "gpt-5", "app": "a", "input_tokens": 100}
    return json.dumps(plain | {"output_tokens": 10, "latency_ms": 500.0} | fields).encode()


def failing() -> Iterator[bytes]:
    """A call every 2 s from 12:00 to 14:05; all fail 12:10-12:15, 12:40-12:45 and from 14:00 on."""
    for number in range(125 * 30):
        at = NOON + number * 2 * SECOND + SECOND
        minute = (at - NOON) // MINUTE
        bad = 10 <= minute < 15 or 40 <= minute < 45 or minute >= 120
        yield call(number, at, status="error" if bad else "ok")


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A file of them."""
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"\n".join(failing()) + b"\n")
    return path


def backtest(file: Path, *folders: Path) -> Outcome:
    """A backtest of a file."""
    return run.of_file(Settings(), str(file), folders, lambda *_: None)


def test_the_episodes_of_a_small_log_are_those_that_one_works_out_by_hand(tmp_path: Path, calls: Path):
    found = backtest(calls, folder(tmp_path / "rules", FAILS.format(limit="50%")))
    # Five calls a pane, six panes a window. Four bad panes are more than half: at 12:10:40. Three good ones
    # make it half, which is not above: at 12:15:30.
    begins = [10 * MINUTE + 40 * SECOND, 40 * MINUTE + 40 * SECOND, 120 * MINUTE + 40 * SECOND]
    (only,) = found.verdicts
    assert [(one.begin - NOON, one.end and one.end - NOON) for one in only.episodes] == [
        (begins[0], 15 * MINUTE + 30 * SECOND),
        (begins[1], 45 * MINUTE + 30 * SECOND),
        (begins[2], None),
    ]
    fails, silent = only.records
    assert (fails.rule, fails.series, fails.fired, fails.flaps, fails.open) == ("Fails", 1, 3, 1, 1)
    assert (fails.first, fails.last) == (NOON + begins[0], NOON + begins[2])
    # The calls end at 14:04:59; the third alert has lasted 4 min 19 s by then.
    length = 4 * MINUTE + 50 * SECOND
    assert fails.total == 2 * length + 4 * MINUTE + 19 * SECOND
    assert fails.median == length
    assert (fails.worst, fails.limit, fails.unit) == (1.0, 0.5, "share")
    assert fails.per_week == pytest.approx(3 / ((125 * 60 - 1) / (7 * 86_400)))
    assert (silent.rule, silent.fired) == ("Silent", 0)
    assert found.calls["applied"] == 3_750


def test_two_folders_differ_where_their_limits_do(tmp_path: Path, calls: Path):
    """One is stricter: the same alerts, later and shorter; and one has a rule more."""
    lax = folder(tmp_path / "lax", FAILS.format(limit="50%"))
    more = FAILS.format(limit="70%").replace("Silent", "Other").replace("99%", "10%").replace("1000", "10")
    found = backtest(calls, lax, folder(tmp_path / "strict", more))
    moved = {change.rule: change for change in differences(found.pairs)}
    assert set(moved) == {"Fails", "Other"}
    assert (moved["Fails"].moved, moved["Fails"].same) == (3, 0)
    assert (moved["Other"].only_theirs, moved["Other"].only_ours) == (3, 0)
    first = next(pair for pair in found.pairs if pair.ours)
    # More than 70 % are five bad panes of six; two good ones are two thirds, and below it.
    assert first.ours
    assert first.theirs
    assert first.theirs.begin - first.ours.begin == 10 * SECOND
    assert (first.ours.end or 0) - (first.theirs.end or 0) == 10 * SECOND


def test_a_rule_set_does_not_differ_from_itself(tmp_path: Path, calls: Path):
    rules = folder(tmp_path / "rules", FAILS.format(limit="50%"))
    found = backtest(calls, rules, rules)
    assert all(pair.same for pair in found.pairs)
    assert len(found.pairs) == 3
    console = Console(file=io.StringIO(), width=120)
    print_outcome(found, console)
    assert "Both say the same" in console.file.getvalue()  # type: ignore[attr-defined]


EVERY_KIND = """
groups:
- name: g
  labels: {severity: warning}
  rules:
  - alert: Slow
    threshold: {metric: latency_p95, above: 2s, by: [app, model], window: 2m, min_calls: 12, resolve_below: 1s}
    for: 30s
    keep_firing_for: 1m
  - alert: SlowFast
    threshold: {metric: latency_p50, below: 400ms, by: [app], window: 1m, min_calls: 5}
  - alert: Errors
    threshold: {metric: error_share, above: 20%, by: [app], window: 1m, min_calls: 8}
  - alert: Worst
    threshold: {metric: latency_max, above: 9s, by: [team], window: 30s, min_calls: 3}
    no_data: keep
  - alert: Mean
    threshold: {metric: latency_mean, above: 1500ms, by: [app], where: {team: {not: t1}}, window: 30m, min_calls: 9}
  - alert: Dear
    threshold: {metric: cost, above: 0.05, by: [user], window: 1m}
  - alert: Few
    threshold: {metric: tokens, below: 350, by: [user], window: 1m}
  - alert: Out
    outage: {by: [provider], minor: 15%, major: 40%, window: 1m, min_calls: 10}
  - alert: Gone
    absence: {by: [app], window: 2m, expect: always, min_calls: 2}
  - alert: NoData
    threshold: {metric: error_share, above: 20%, by: [model], window: 1m, min_calls: 10}
    no_data: no_data
  - alert: Runs
    runaway: {by: [session], spend: 0.06, same_tool: 6, signatures: {calls: 12, at_most: 2}, window: 10m}
  - alert: Hourly
    budget: {metric: cost, limit: 1, per: hour, by: [team], thresholds: [20%, 50%, 100%]}
  - alert: Daily
    budget: {metric: tokens, limit: 400000, per: day, timezone: Asia/Kolkata, burn_rate: default, forecast: 80%}
  - alert: Rolling
    budget: {metric: cost, limit: 0.1, rolling: 10m, by: [user]}
  - alert: Late
    threshold: {metric: late_share, above: 30%, by: [app], window: 1m, min_calls: 8}
  - alert: Usual
    change: {metrics: [error_share, late_share], by: [app], series: 1}
"""


def busy(seed: int, minutes: int = 66) -> list[bytes]:
    """Calls a few seconds apart, some late, some twice; every few minutes something else goes wrong.

    Some calls come half an hour to two hours late, and twice many that failed. Users come and go.
    """
    dice = random.Random(seed)
    at, lines = NOON, []
    while at < NOON + minutes * MINUTE:
        episode = (at - NOON) // (6 * MINUTE) % 5
        at += dice.choice((0, 1, 2, 3)) * SECOND if episode != 4 else dice.choice((20, 140)) * SECOND
        app = dice.choice("abc")
        loops = episode == 1 and dice.random() < 0.5
        fields: dict[str, Any] = {
            "app": app, "team": f"t{dice.randrange(3)}", "user": f"u{dice.randrange(6) + len(lines) // 300}",
            "provider": dice.choice(("openai", "mistral")), "model": dice.choice(("gpt-5", "gpt-5-mini")),
            "session": f"s{0 if loops else dice.randrange(40)}", "cost_usd": dice.random() * 0.01,
            "latency_ms": dice.random() * (4_000 if episode == 2 and app == "a" else 900),
            "status": "error" if episode == 3 and dice.random() < 0.6 else "ok",
            "tools": [{"name": "look", "arguments_hash": "aa11"}] if loops else [],
        }  # fmt: skip
        if dice.random() < 0.01:
            fields["latency_ms"] = 12_000.0
        lag = dice.choice((0, 0, 0, 5, 40)) if len(lines) % 23 else dice.choice((1_800, 3_000, 7_200))
        lines.append(call(len(lines), at - lag * SECOND, **fields))
        if len(lines) in (200, 900):
            for _ in range(25):
                failed = fields | {"status": "error", "cost_usd": 0.02}
                lines.append(call(len(lines), at - 3_600 * SECOND, **failed))
        if dice.random() < 0.02:
            lines.append(lines[-1])
    return lines


@pytest.mark.parametrize(("seed", "partitions", "block"), [(1, 1, 150), (2, 3, 400), (3, 2, 65_536)])
def test_the_alerts_are_those_of_the_workers_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, partitions: int, block: int
):
    """Whatever the blocks, turns and processes: of every kind of rule, each change at its time, with its value."""
    rules = folder(tmp_path / "rules", EVERY_KIND)
    settings, dice = Settings(alerts=rules), random.Random(seed)
    monkeypatch.setattr(trial, "BLOCK", block)
    found, parts = evaluate(settings, busy(seed), dice, partitions=partitions, most=90, processes=partitions)
    expected = comparable(worker_alerts(settings, parts))
    assert comparable(found.folders[0].alerts) == expected
    fired = {rule for _, rule, *_ in expected}
    assert len(fired) >= 12, f"the traffic has to make rules fire: {fired}"


def test_a_block_without_a_closed_pane_begins_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """More calls than a block come before the first pane closes."""
    monkeypatch.setattr(trial, "BLOCK", 20)
    settings = Settings(alerts=folder(tmp_path / "rules", EVERY_KIND))
    lines = [call(number, NOON + number // 300 * MINUTE, status="error") for number in range(900)]
    found, parts = evaluate(settings, lines, random.Random(1), partitions=1, most=50, processes=2)
    assert found.processes == 2
    expected = comparable(worker_alerts(settings, parts))
    assert comparable(found.folders[0].alerts) == expected != []


def test_counts_say_what_became_of_the_calls(tmp_path: Path):
    path = tmp_path / "calls.jsonl.gz"
    lines = [call(1, NOON + HOUR), call(2, NOON), call(1, NOON + HOUR), b"{", b"", call(3, NOON + 2 * HOUR)]
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    found = backtest(path, folder(tmp_path / "rules", FAILS.format(limit="50%")))
    names = ("in", "applied", "duplicate", "dead_lettered", "late")
    assert [found.calls[name] for name in names] == [5, 3, 1, 1, 1]
    console = Console(file=io.StringIO(), width=120)
    print_outcome(found, console)
    page = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 calls were late" in page
    assert "never fired: Fails, Silent" in page


def test_the_command_prints_a_table_or_json(tmp_path: Path, calls: Path):
    rules = folder(tmp_path / "rules", FAILS.format(limit="50%"))
    asked = ("alerts", "backtest", "--file", str(calls), "--rules", str(rules))
    done = said(tmp_path, *asked, "--json")
    assert done.code == 0, done.text
    found = json.loads(done.out)
    assert found["episodes"][0]["begin"] == "2026-07-01T12:10:40Z"
    assert found["records"][0]["fired"] == 3
    done = said(tmp_path, *asked, "--against", str(rules))
    assert done.code == 0, done.text
    assert "Both say the same" in done.text


def test_what_is_not_there_is_named(tmp_path: Path, calls: Path):
    with pytest.raises(ConfigError, match="is not a folder"):
        backtest(calls, tmp_path / "none")
    with pytest.raises(ConfigError, match="is not a file"):
        backtest(tmp_path / "none", folder(tmp_path / "rules", FAILS.format(limit="50%")))


def test_an_episode_goes_on_where_a_level_rises_and_flaps_only_within_half_an_hour():
    def change(at: int, status: Any, begin: int, **more: Any) -> Alert:
        fields: dict[str, Any] = {
            "rule": "R", "kind": "budget", "severity": "warning", "fingerprint": "f", "group": "g",
            "labels": {}, "metric": "cost", "unit": "usd", "value": 1.0, "limit": 10.0,
        }  # fmt: skip
        return Alert(status=status, episode=f"f-{begin}", since=begin, at=at, **fields | more)

    alerts = [
        change(0, "firing", 0, value=5.0, level="50%"),
        change(5 * MINUTE, "firing", 0, value=11.0, level="100%"),
        change(10 * MINUTE, "resolved", 0),
        change(40 * MINUTE, "firing", 40),
        change(50 * MINUTE, "resolved", 40),
        change(81 * MINUTE, "firing", 81),
    ]
    found = episodes(alerts)
    assert [(one.begin, one.end, one.level, one.worst) for one in found] == [
        (0, 10 * MINUTE, "100%", 11.0),
        (40 * MINUTE, 50 * MINUTE, "", 1.0),
        (81 * MINUTE, None, "", 1.0),
    ]
    (record,) = records(["R"], found, Span(0, 100 * MINUTE))
    assert (record.flaps, record.open, record.total) == (1, 1, (10 + 10 + 19) * MINUTE)
    assert isinstance(found[0], Episode)


async def test_a_topic_is_read_from_a_time_to_its_end(
    kafka: str, topic_prefix: str, create_topics: Callable[..., Awaitable[Settings]], tmp_path: Path
):
    """Four partitions on the real broker give the episodes of the file; what was appended earlier is left out."""
    rules = folder(tmp_path / "rules", FAILS.format(limit="50%"))
    settings = Settings(brokers=kafka, topic_prefix=topic_prefix, group=topic_prefix, alerts=rules)
    await create_topics(settings, calls=4)
    topic = settings.topic("calls")
    await publish_lines([call(0, NOON - 2 * HOUR, app="old", session="x")], settings, topic)
    old = time.time()
    # `since` is read in milliseconds before a moment that comes later: a second lies on each side of it.
    await eventually(lambda: time.time() > old + 2)
    before = time.time()
    sent = [
        line.replace(b'"app": "a"', b'"app": "a", "session": "s%d"' % (n % 50))
        for n, line in enumerate(failing())
    ]
    await publish_lines(sent, settings, topic)
    (tmp_path / "calls.jsonl").write_bytes(b"\n".join(sent))
    since = f"{int((time.time() - before) * 1_000) + 1_000}ms"
    found = await past_calls.backtest(settings, since, [rules], lambda *_: None)
    assert found.calls["in"] == len(sent)
    expected = backtest(tmp_path / "calls.jsonl", rules).verdicts[0].episodes
    assert [(one.begin, one.end) for one in found.verdicts[0].episodes] == [
        (one.begin, one.end) for one in expected
    ]


def test_embeddings_are_counted_without_a_rule_of_drift(tmp_path: Path):
    """`replay`, the backtest and the worker counted none without one, so such a rule never fired."""
    rules = "groups: [{name: g, rules: [{alert: Embedded, threshold: {metric: embedded_share, above: 40%, by: [app]}}]}]"
    there = folder(tmp_path / "rules", rules)
    vector = {"embedding": {"model": "m", "vector": [1.0, 2.0]}}
    lines = [call(n, NOON + n * SECOND, **(vector if n > 300 else {})) for n in range(900)]
    logged = [Logged(offset, NOON // 1_000 + 10**9, line) for offset, line in enumerate(lines)]
    assert {alert.rule for alert in worker_alerts(Settings(alerts=there), [logged])} == {"Embedded"}
    (tmp_path / "calls.jsonl").write_bytes(b"\n".join(lines))
    (verdict,) = backtest(tmp_path / "calls.jsonl", there).verdicts
    assert [episode.rule for episode in verdict.episodes] == ["Embedded"]
    assert [alert["rule"] for alert in replay_lines(lines, Settings(alerts=there))["alerts"]] == ["Embedded"]


def test_loops_are_found_when_no_contributors_are_kept(tmp_path: Path):
    """`contributors = 0` left no tool calls for the rules."""
    rules = "groups: [{name: g, rules: [{alert: Loop, runaway: {by: [session], same_tool: 20}}]}]"
    tool = {"session": "s", "tools": [{"name": "search", "arguments_hash": "aa"}]}
    lines = [call(n, NOON + n * SECOND, **tool) for n in range(60)]
    settings = Settings(alerts=folder(tmp_path / "rules", rules), contributors=0)
    found = replay_lines(lines, settings)["alerts"]
    assert [(alert["rule"], alert["level"]) for alert in found] == [("Loop", ""), ("Loop", "×2")]
