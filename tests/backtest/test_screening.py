"""A replay runs the stages only for series in which a rule may fire, and says the same as the whole stages."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from backtests import folder
from frames import alerts, points_of
from llmvitals.backtest import evaluator, replay, screening
from llmvitals.backtest.replay import SOURCE, Replay, replay_lines
from llmvitals.backtest.screening import Screening
from llmvitals.backtest.temporary_log import TemporaryLog
from llmvitals.merge.open_panes import OpenPaneCache
from llmvitals.metrics.columns import CALLS
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged
from llmvitals.record.vitals import Vitals
from llmvitals.rules.chosen_series import ChosenSeries
from llmvitals.rules.engine import load_engine
from llmvitals.settings import Settings
from llmvitals.sketch.counters import SUMS

START: Final = 1_780_272_000
"""1 June 2026, 00:00 UTC, in seconds."""
LATER: Final = (START + 10 * 86_400) * 1_000
RULES: Final = """groups:
- name: all
  rules:
  - {alert: Fails, threshold: {metric: error_share, above: 50%, by: [app], window: 10m, min_calls: 5}}
  - {alert: Silent, absence: {by: [app], window: 15m, expect: always, min_calls: 1}}
  - {alert: Day, budget: {limit: 10, per: day, by: [team], thresholds: [50%, 100%]}}
  - {alert: Run, runaway: {by: [session], spend: 2, window: 10m}}
  - {alert: Judged, threshold: {metric: score.good_mean, below: 0.5, by: [app], min_calls: 5}}
"""


def lines() -> list[bytes]:
    """Three hours: app `bad` fails in the second one and stops; team `red` and session `x` spend."""
    dice = random.Random(3)
    found = []
    for number, at in enumerate(sorted(dice.randrange(3 * 3_600) for _ in range(1_500))):
        app = dice.choice(["good", "calm", "bad"])
        if app == "bad" and at > 2 * 3_600:
            continue
        call: dict[str, Any] = {
            "id": f"c{number}",
            "ts": (START + at) * 1_000,
            "provider": "openai",
            "model": "gpt-5-mini",
            "app": app,
            "team": dice.choice(["red", "blue"]),
            "session": dice.choice(["x", "y", "z"]),
            "cost_usd": 0.001,
            "user": f"u{dice.randrange(9)}",
            "status": "error" if app == "bad" and 3_600 < at < 4_800 else "ok",
            "scores": {"good": 0.2 if app == "calm" and at > 9_000 else 0.9},
        }
        if call["team"] == "red" and call["session"] == "x":
            call["cost_usd"] = 0.06 if at < 9_000 else 0.3
        found.append(json.dumps(call).encode())
    # Calls that come hours late.
    return [*found, *(line.replace(b'"c', b'"late-') for line in found[:40])]


def settings(path: Path, **values: Any) -> Settings:
    return Settings(alerts=folder(path / "rules", RULES), default_views=True, **values)


def whole(calls: list[bytes], given: Settings, *, until: int = 0) -> tuple[list[Alert], Any]:
    """The alerts of the whole stages, and the counts of the series of days."""
    stages, out = Replay.of(given), []
    for first in range(0, len(calls), 2_000):
        batch = calls[first : first + 2_000]
        out += stages.feed([Logged(first + n, LATER, line) for n, line in enumerate(batch)])
    out += stages.upto(until) if until else []
    out += stages.finish()
    days = {
        (point.start, *sorted(point.tags.items())): (point.counts, point.measures)
        for point in points_of(out)
        if point.measurement == CALLS and point.tags["window"] == "1d"
    }
    return sorted(alerts(out), key=Alert.order), sorted(days.items())


@pytest.mark.parametrize("processes", [1, 3])
def test_a_replay_has_the_alerts_of_the_whole_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
):
    monkeypatch.setattr(evaluator, "BLOCK", 400)
    monkeypatch.setattr(replay, "BATCH", 200)
    monkeypatch.setattr(screening, "PROCESSES", processes)
    given = settings(tmp_path)
    whole_alerts, _ = whole(lines(), given, until=(START + 4 * 3_600) * 1_000_000)
    found = replay_lines(lines(), given, until="2026-06-01T04:00:00Z")["alerts"]
    expected = [json.loads(alert.encode()) for alert in whole_alerts if not alert.update]
    for alert in (*found, *expected):
        # What a cause compares are the panes that have closed, which depends on the batches.
        alert["cause"] = "cause" in alert
    assert found == expected
    assert {alert["rule"] for alert in found} == {"Fails", "Silent", "Day", "Run", "Judged"}


def test_both_readings_tell_how_far_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay, "BATCH", 200)
    told: dict[str, list[float]] = {}
    replay_lines(
        lines(), settings(tmp_path), progress=lambda name, share: told.setdefault(name, []).append(share)
    )
    assert [name.partition(":")[0] for name in told] == ["first reading", "second reading"]
    for shares in told.values():
        assert len(shares) > 2
        assert shares == sorted(shares)
        assert 0 < shares[0] < shares[-1] == 1


@pytest.mark.parametrize("processes", [1, 3])
def test_only_series_with_alerts_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int):
    monkeypatch.setattr(evaluator, "BLOCK", 400)
    monkeypatch.setattr(screening, "PROCESSES", processes)
    pipeline = Pipeline.of(settings(tmp_path), 1, [SOURCE])
    first = Screening(pipeline, SOURCE)
    calls = [Logged(n, LATER, line) for n, line in enumerate(lines())]
    for start in range(0, len(calls), 200):
        first.feed(calls[start : start + 200])
    first.end(0)
    assert {view.partition(":")[2] or view: found for view, found in first.series.items()} == {
        "app": {("bad",): {"Fails", "Silent"}, ("calm",): {"Judged"}},
        "team": {("red",): {"Day"}},
        "session": {("x",): {"Run"}},
    }
    assert first.days() is not None
    assert not first.limited(first.series)


@pytest.mark.parametrize(("most", "limited"), [(6, False), (5, True)])
def test_a_view_without_points_is_limited_if_its_values_make_too_many_series(
    tmp_path: Path, most: int, limited: bool
):
    """Two teams and three sessions, three apps."""
    both = "  - {alert: Both, threshold: {metric: cost, above: 1, by: [team, session]}}\n"
    given = Settings(alerts=folder(tmp_path / "rules", RULES + both), default_views=True, max_series=most)
    pipeline = Pipeline.of(given, 1, [SOURCE])
    first = Screening(pipeline, SOURCE)
    first.feed([Logged(n, LATER, line) for n, line in enumerate(lines())])
    first.end(0)
    (view,) = [name for name, view in pipeline.merge.views.items() if set(view.by) == {"team", "session"}]
    assert first.limited([view]) is limited
    # The first reading has added these up, and knows.
    assert not first.limited([name for name, view in pipeline.merge.views.items() if view.stored])


@pytest.mark.parametrize("days", [True, False])
def test_the_second_reading_writes_days_only_if_the_first_could_not(tmp_path: Path, *, days: bool):
    pipeline = Pipeline.of(settings(tmp_path), 1, [SOURCE])
    (app,) = [name for name in pipeline.merge.views if name.rpartition(":")[2] == "app"]
    stages = Replay(pipeline.only({app: {("bad",): {"Fails", "Silent"}}}, days=days))
    out = [*stages.feed([Logged(n, LATER, line) for n, line in enumerate(lines())]), *stages.finish()]
    assert {alert.rule for alert in alerts(out)} == {"Fails", "Silent"}
    assert {point.measurement for point in points_of(out)} >= {CALLS} if days else not points_of(out)


USUAL: Final = "  - {alert: Usual, regression: {metric: error_share, by: [app]}}\n"
"""A rule that remembers something for good, as soon as there was a call."""


def test_a_view_keeps_what_the_chosen_rules_read(tmp_path: Path):
    more = USUAL + "  - {alert: Topic, drift: {by: [app], learn: 1h}}\n"
    given = Settings(alerts=folder(tmp_path / "rules", RULES + more), default_views=True)
    pipeline = Pipeline.of(given, 1, [SOURCE])
    for by, rule, days, read in (
        ("app", "Topic", False, {"meaning"}),
        ("app", "Fails", False, set()),
        ("team", "Day", False, {"eager"}),
        ("app", "Fails", True, set()),
    ):
        only = pipeline.only({by: {("x",): {rule}}}, days=days)
        view = only.merge.views[by]
        assert {name for name in ("eager", "meaning") if getattr(view, name)} == read
        # Open panes, and series beyond a limit, depend on the batches.
        assert Replay(only, limited=days).steady is not (days or "eager" in read)


@pytest.mark.parametrize(
    ("rules", "evaluated"),
    [(RULES, {"Fails", "Silent", "Judged"}), (RULES + USUAL, {"Fails", "Usual"})],
)
def test_a_rule_is_left_out_only_beside_one_that_always_remembers(
    tmp_path: Path, rules: str, evaluated: set[str]
):
    engine = load_engine(folder(tmp_path / "rules", rules), 10_000_000)
    (view,) = [view.name for view in engine.views if view.by == ("app",)]
    chosen = ChosenSeries(engine, {view: {("bad",): {"Fails"}}})
    sums = tuple([int(name == "calls") for name in SUMS])
    vitals, state = Vitals(sums, scores={"good": (1, 900_000, 810_000)}), dict[str, Any]()
    chosen.advance(view, ("bad",), state, floor=2, closed=[(1, vitals)])
    assert state["rules"].keys() == evaluated
    state = {}
    assert not chosen.advance(view, ("calm",), state, floor=2, closed=[(1, vitals)])
    assert not state


def test_a_replay_without_the_quiet_rules_of_a_series_has_the_same_alerts(tmp_path: Path):
    given = Settings(alerts=folder(tmp_path / "rules", RULES + USUAL), default_views=True)
    found = replay_lines(lines(), given)["alerts"]
    (tmp_path / "few").mkdir()
    expected = replay_lines(lines(), settings(tmp_path / "few"))["alerts"]
    assert [(alert["rule"], alert["at"], alert["status"], alert["summary"]) for alert in found] == [
        (alert["rule"], alert["at"], alert["status"], alert["summary"]) for alert in expected
    ]
    assert found


@pytest.mark.parametrize("most", [2, 1_000])
def test_days_have_the_series_that_merge_has_room_for(tmp_path: Path, most: int):
    given = settings(tmp_path, max_series=most)
    _, expected = whole(lines(), given)
    found = replay_lines(lines(), given)["series"]
    assert len(found) == len(expected)
    by_name = {(row["view"], *sorted(row["by"].items())): row for row in found}
    for (_, *tags), (counts, measures) in expected:
        values = dict(tags)
        by = {name: value for name, value in values.items() if name not in ("view", "window")}
        row = by_name[values["view"], *sorted(by.items())]
        assert {name: row[name] for name in (*counts, *measures)} == {**counts, **measures}
    assert any("_other" in row["by"].values() for row in found) == (most == 2)


def test_a_temporary_log_is_read_more_than_once():
    records = [b"", b"a\nb", b"\n\n", bytes(range(256)), b"end"]
    with closing(TemporaryLog(iter(records))) as log:
        for _ in range(2):
            found = [*log.records()]
            assert [record.value for record in found] == records
            assert [record.offset for record in found] == [*range(5)]


def test_open_panes_are_looked_at_as_often_as_there_are_calls(tmp_path: Path, monkeypatch: Any):
    """However sparse the calls are: a budget that is used up looks at what is open with every call."""
    looked: list[int] = []
    at = OpenPaneCache.at

    def spied(cache: OpenPaneCache, *of: Any) -> Any:
        panes = at(cache, *of)
        looked.append(len(panes))
        return panes

    monkeypatch.setattr(OpenPaneCache, "at", spied)
    given = settings(tmp_path)

    def looks(calls: int) -> int:
        looked.clear()
        begin = START * 1_000
        events = [
            {"id": f"c{n}", "ts": begin + n * 20_000, "model": "m", "team": "red", "cost_usd": 0.02}
            for n in range(calls)
        ]
        replay_lines([json.dumps(event).encode() for event in events], given)
        return sum(looked)

    few, many = looks(500), looks(2_000)
    assert few > 0
    assert many < 6 * few
