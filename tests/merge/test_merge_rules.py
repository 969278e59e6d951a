"""The real stages with the real rules: what they say is exact, and the same wherever merge dies."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frames import FIRST, PANE, alerts, contents, entry, frame, log, points_of, small_pieces, stored, vitals
from llmvitals.merge import closer as settle
from llmvitals.merge import stage as stage_module
from llmvitals.pipeline import Pipeline
from llmvitals.record import watermark
from llmvitals.record.alert import Alert
from llmvitals.record.frame import Entry, decode
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.point import Point
from llmvitals.settings import Settings
from llmvitals.window import NEVER
from merge_with_rules import (
    CALLS,
    MINUTE,
    SECOND,
    START,
    Call,
    changes,
    disturbed,
    frames,
    merging,
    piped,
)

HOUR = START + 4 * MINUTE  # in Kathmandu, 5:45 ahead, an hour begins
RULES = """groups:
- name: g
  rules:
  - alert: Hour
    budget: {limit: 10, per: hour, timezone: Asia/Kathmandu, by: [team], thresholds: [50%, 100%, 150%]}
  - alert: Minutes
    budget: {limit: 4, rolling: 2m, by: [team], thresholds: [50%, 100%]}
  - alert: Tokens
    budget: {metric: tokens, limit: 1500, per: day, thresholds: [50%, 100%]}
  - alert: Errors
    threshold: {metric: error_share, above: 50%, by: [team], window: 40s, min_calls: 2, resolve_below: 20%}
    for: 20s
    keep_firing_for: 30s
  - alert: Slow
    threshold: {metric: latency_p95, above: 2s, window: 1m, min_calls: 3}
  - alert: Unsure
    threshold: {metric: latency_max, above: 9s, by: [team], window: 20s, min_calls: 2}
    no_data: no_data
  - alert: Away
    runaway: {by: [team], spend: 2, same_tool: 3, window: 1m}
  - alert: Down
    outage: {by: [team], window: 40s, min_calls: 2}
  - alert: Failing
    threshold: {metric: error_share, above: 50%, by: [app], window: 40s, min_calls: 2}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return piped(tmp_path_factory.mktemp("rules"), RULES)


def points(messages: Iterable[Message], rule: str) -> list[Point]:
    """All points of a budget, also those that others took the place of."""
    return [point for point in points_of(messages) if point.tags.get("rule") == rule]


def spent(calls: list[Call], team: str, minute: int) -> int:
    """Cents that a team has spent in its hour when the minute is over, added up naively."""
    times = [(START + second * SECOND, cents) for second, name, cents, _ in calls if name == team]
    return sum(cents for at, cents in times if at < minute + MINUTE and (at < HOUR) == (minute < HOUR))


@given(CALLS, st.randoms(use_true_random=False))
def test_budget_points_are_exact_to_the_cent_and_come_once_a_minute(pipeline, calls, dice):
    heard = merging(pipeline).apply(frames(pipeline, calls, lambda: dice.randint(1, 15)))
    held = {(p.tags["team"], p.start): p for p in stored(heard).values() if p.tags.get("rule") == "Hour"}
    busy = {(team, START + second // 60 * MINUTE) for second, team, _, _ in calls}
    begun = {(team, HOUR) for team, start in busy if start < HOUR and spent(calls, team, HOUR - MINUTE)}
    assert set(held) <= busy | begun
    assert busy <= set(held)
    for (team, start), point in held.items():
        cents = spent(calls, team, start)
        assert point.measures == {
            "spent_usd": cents / 100,
            "limit_usd": 10,
            "share": pytest.approx(cents / 1_000),
            "overshoot_usd": max(cents - 1_000, 0) / 100,
        }
    passed = [alert for alert in alerts(heard) if alert.rule == "Hour" and alert.status == "firing"]
    assert len(points(heard, "Hour")) == len(held) + len(passed)


@settings(max_examples=100)
@given(CALLS, st.randoms(use_true_random=False))
def test_wherever_merge_dies_it_says_what_an_undisturbed_one_says(pipeline, calls, dice):
    """A fuzzy checkpoint holds some buckets only, and may be torn; what is said twice is the same twice.

    It dies also between the pieces in which a frame's panes close, of which the undisturbed one has none.
    """
    records = frames(pipeline, calls, lambda: dice.randint(1, 15))
    straight = merging(pipeline).apply(records)
    with pytest.MonkeyPatch.context() as patch:
        small_pieces(patch)
        pieces = merging(pipeline).apply(records)
        heard = disturbed(pipeline, records, dice)
    assert {m for m in heard if m.topic is Topic.ALERTS} == {m for m in straight if m.topic is Topic.ALERTS}
    assert changes(heard) == changes(straight)
    assert stored(heard) == stored(pieces)
    assert contents(heard) == contents(straight)


@given(CALLS, st.randoms(use_true_random=False))
def test_no_alert_comes_after_a_watermark_that_has_passed_it(pipeline, calls, dice):
    """Whenever it is flushed, also while a frame is done by half, and whatever is acknowledged by then."""
    records, out, marks = frames(pipeline, calls, lambda: dice.randint(1, 15)), list[Message](), list[int]()
    with pytest.MonkeyPatch.context() as patch:
        small_pieces(patch)
        stage = merging(pipeline)
        marks.append(stage.mark())
        for piece in stage.pieces(records[: dice.randint(1, len(records) - 2)]):
            out += piece
            marks.append(stage.mark())
            if dice.random() < 0.7:
                stage.delivered(dice.choice(marks[-2:]))
            out += stage.flush()
    passed = NEVER
    for message in out:
        if message.topic is Topic.WATERMARKS:
            found = watermark.read(Logged(0, 0, message.value, message.key))
            assert (found.shard, found.shards) == (0, 1)
            assert found.time >= passed + stage_module.MARKED
            passed = found.time
        elif message.topic is Topic.ALERTS:
            assert Alert.decode(message.value).at > passed or passed == NEVER
    assert passed <= stage.watermark


def test_a_watermark_waits_for_the_acknowledgement_of_the_alerts_before_it(pipeline):
    records = log([frame(0, 1, spending(0, 2), floor=1, of=1), frame(0, 2, floor=FIRST + 9, of=1)])
    stage = merging(pipeline)
    stage.apply(records)
    assert stage.flush() == []
    stage.delivered(stage.mark())
    (mark,) = stage.flush()
    assert json.loads(mark.value) == {"shard": 0, "shards": 1, "time": stage.watermark}
    assert stage.flush() == []
    again = merging(pipeline, stage.snapshot(whole=True).parts)
    assert again.flush() == []


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_restart_tells_of_no_open_pane_before_it_grows_or_closes(pipeline, stop):
    """The second excess is open while the first is told, and has not grown when the first is over."""
    records = log(
        [
            frame(0, 1, spending(0, 2), floor=1, of=1),
            frame(0, 2, spending(8, 2), floor=1, of=1),
            frame(0, 3, floor=7, of=1),
            frame(0, 4, floor=8, of=1),
            frame(0, 5, spending(8, 3), floor=8, of=1),
            frame(0, 6, floor=99, of=1),
        ]
    )
    away = [(1, "firing", 2), (7, "resolved", 0), (9, "firing", 3), (15, "resolved", 0)]
    told = [alert for alert in alerts(merging(pipeline).apply(records)) if alert.rule == "Away"]
    assert [(alert.at // PANE - FIRST, alert.status, alert.value) for alert in told] == away
    stage = merging(pipeline)
    heard = [*stage.apply(records[:stop])]
    heard += merging(pipeline, stage.snapshot(whole=True).parts).apply(records)
    assert [alert for alert in alerts(heard) if alert.rule == "Away"] == told


def spending(pane: int, dollars: int) -> Entry:
    return entry(pane, vitals(calls=1, priced_calls=1, cost_nano=dollars * 10**9), "rule:team", "a")


@given(CALLS, st.randoms(use_true_random=False))
def test_in_however_many_pieces_panes_close_the_rules_say_the_same(pipeline, calls, dice):
    """A hold-up ends: all of it closes at once, in one piece or pane by pane."""
    records = frames(pipeline, calls, lambda: dice.randint(1, 15))
    held_up = dice.randint(0, len(records))
    # The frames of the second source come late, so that until then nothing closes.
    decoded = [(decode(record.value or b"").source, record) for record in records]
    late = [record for source, record in decoded[:held_up] if source.endswith("1")]
    order = [record for source, record in decoded[:held_up] if source.endswith("0")] + late
    log = [Logged(at, 0, r.value) for at, r in enumerate([*order, *records[held_up:]])]
    whole = merging(pipeline).apply(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settle, "STRETCH", 1)
        cut = merging(pipeline).apply(log)
    assert [m for m in cut if m.topic is Topic.ALERTS] == [m for m in whole if m.topic is Topic.ALERTS]
    assert contents(cut) == contents(whole)


ENDLESS = """alert: Failing
    threshold: {metric: error_share, above: 50%, by: [team], window: 40s, min_calls: 2}
    no_data: keep
"""
OTHERWISE = {
    "its view is read by none": "alert: Company\n    budget: {limit: 5, per: day}\n",
    "its view has another name": ENDLESS.replace("window", "where: {model: m}, window"),
    "its view is read by another": "alert: Slow\n    threshold: {metric: latency_p95, above: 9s, by: [team]}\n",
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_firing_alert_whose_rule_is_gone_after_a_restart_ends_once(tmp_path, name):
    """Nobody calls any more in its series, and without data it would stay: only the change of rules ends it."""
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, rule in ((before, ENDLESS), (after, OTHERWISE[name])):
        folder.mkdir()
        text = f"groups:\n- name: g\n  rules:\n  - {rule}"
        (folder / "rules.yaml").write_text(text, encoding="utf-8")
    calls = [(second, "a", 1, True) for second in range(4)] + [
        (at, "b", 1, False) for at in range(60, 600, 5)
    ]
    old = Pipeline.of(Settings(alerts=before, default_views=False), 1, ["calls"])
    records = frames(old, calls, lambda: 3)
    stage, heard = merging(old), []
    while not heard:
        heard = alerts(stage.apply([records[stage.next]]))
    (firing,) = heard
    parts = stage.snapshot(whole=True).parts
    new = Pipeline.of(Settings(alerts=after, default_views=False), 1, ["calls"])
    stage = merging(new, parts)
    said = stage.apply(records[:-4])
    (end,) = alerts(said)
    assert (end.status, end.episode, end.rule) == ("resolved", firing.episode, "Failing")
    assert firing.at < end.at <= START + 2 * MINUTE
    assert end.reason.startswith("the rule was ")
    assert alerts(merging(new, parts).apply(records[:-4])) == [end], "a crash after it says the same again"
    assert alerts(merging(new, stage.snapshot(whole=True).parts).apply(records)) == []
