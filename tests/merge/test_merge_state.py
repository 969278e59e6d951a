"""Merge: its checkpoints, and the rules that it asks."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frames import (
    DAY,
    FIRST,
    PANE,
    VIEWS,
    contents,
    disturbed,
    entry,
    frame,
    log,
    small_pieces,
    stored,
    vitals,
)
from llmvitals.errors import ConfigError, StateLost
from llmvitals.merge import Merge, MergePlan
from llmvitals.merge import closer as settle
from llmvitals.record.alert import Alert
from llmvitals.record.log import Topic
from llmvitals.window import FOREVER

ONE = vitals(calls=1)


class Spending:
    """A rule on calls a team: tells each hundred once, pane by pane, and of those in open panes the highest.

    It notes what it is asked, and ticks while there are calls.
    """

    def __init__(self, view: str = "team") -> None:
        self.view = view
        self.asked: list[tuple[tuple[str, ...], int, list[int], list[int]]] = []

    def reads(self, view: str) -> bool:
        return view == self.view

    def due(self, state: dict[str, Any]) -> int:
        return FIRST + 1 if state["calls"] > 0 else FOREVER

    def quiet(self, *_: Any) -> bool:
        return False

    def absorb(self, *_: Any, **__: Any) -> None:
        raise AssertionError("it is never quiet")

    def headroom(self, *_: Any) -> tuple[dict[tuple[str, ...], int], range]:
        return {(): 0}, range(0)  # it is asked about every open pane

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        del state, floor
        return []

    def finish(self, *_: Any) -> list[Any]:
        return []

    def advance(self, view, series, state, *, floor, closed, opened, family) -> list[Alert]:
        assert view == self.view
        self.asked.append(
            (series, floor - FIRST, [p - FIRST for p, _ in closed], [p - FIRST for p, _ in opened])
        )
        said = []
        state.setdefault("calls", 0)
        for pane, part in closed:
            state["calls"] += part.total("calls")
            said += self.told(state, series[0], state["calls"], pane + 1)
        seen, early = state["calls"], []
        for pane, part in opened:
            seen += part.total("calls")
            early = self.told(state, series[0], seen, pane + 1) or early
        if series == ("forgotten",):
            state.clear()
        return said + early

    def told(self, state: dict[str, Any], team: str, seen: int, at: int) -> list[Alert]:
        if seen // 100 <= state.get("told", 0):
            return []
        state["told"] = seen // 100
        return [alert(team, seen, at)]


def alert(team: str, seen: int, at: int) -> Alert:
    return Alert(
        rule="r", kind="budget", status="firing", severity="page", fingerprint="f", episode="e", group=f"r-{team}",
        labels={"team": team}, metric="calls", unit="count", value=seen, limit=100, since=0, at=at,
    )  # fmt: skip


def merge(plan: MergePlan, parts: dict[str, bytes] | None = None, beginning: int = 0) -> Merge:
    return Merge(plan, shard=0, parts=parts or {}, beginning=beginning)


def plan(**more: Any) -> Any:
    return MergePlan(PANE, VIEWS, engine=Spending(), **more)


# Rules


def test_an_open_pane_of_an_eager_view_can_fire_before_it_closes():
    planned = plan()
    stage = merge(planned)
    assert stage.apply(log([frame(0, 1, entry(0, vitals(calls=60), "team", "x"))])) == []
    out = stage.apply(log([frame(1, 1, entry(1, vitals(calls=40), "team", "x"))], 1))
    assert [(m.topic, m.key, Alert.decode(m.value).value) for m in out] == [(Topic.ALERTS, b"r-x", 100)]
    stage.apply(log([frame(0, 1, floor=1), frame(1, 1, floor=1)], 2))
    # What is still open has not grown, and was looked at when it had.
    assert [asked for asked in planned.engine.asked if asked[1] > -(10**9)][-1] == (("x",), 1, [0], [])


def test_after_a_restart_every_memory_is_asked_once_and_open_panes_only_when_they_grow():
    frames = [frame(0, 1, *(entry(pane, ONE, "team", "x") for pane in (0, 5)), of=1)]
    stage = merge(plan())
    stage.apply(log(frames))
    planned = plan()
    again = merge(planned, stage.snapshot(whole=True).parts)
    later = [frame(0, 2, floor=1, of=1), frame(0, 3, entry(5, vitals(calls=2), "team", "x"), floor=1, of=1)]
    again.apply(log(later, 1))
    assert planned.engine.asked == [(("x",), 1, [0], []), (("x",), 1, [], [5])]


def test_rules_are_asked_once_a_frame_about_all_that_closed_and_then_about_what_is_open():
    planned = plan()
    stage = merge(planned)
    stage.apply(log([frame(0, 1, *(entry(n, ONE, "team", "x") for n in range(4)), floor=3, of=1)]))
    assert planned.engine.asked == [(("x",), 3, [0, 1, 2], []), (("x",), 3, [], [3])]


def test_a_series_that_wants_to_tick_is_asked_when_other_panes_close():
    planned = plan()
    stage = merge(planned)
    stage.apply(
        log([frame(0, 1, entry(0, ONE, "team", "x"), entry(0, vitals(), "team", "y"), floor=1, of=1)])
    )
    planned.engine.asked.clear()
    stage.apply(log([frame(0, 1, floor=1, of=1), frame(0, 2, floor=9, of=1)], 1))
    assert planned.engine.asked == [(("x",), 9, [], [])]


def test_a_bucket_that_has_nothing_but_a_rule_s_memory_wakes_up_for_it():
    class Late(Spending):
        def due(self, state):
            return FIRST + 5 if len(self.asked) == 1 else FOREVER

    planned: Any = MergePlan(PANE, VIEWS, engine=Late("rule"))
    stage = merge(planned)
    stage.apply(log([frame(0, 1, entry(0, ONE, "rule", "x"), floor=1, of=1), frame(0, 2, floor=4, of=1)]))
    assert planned.engine.asked == [(("x",), 1, [0], [])]
    stage.apply(log([frame(0, 3, floor=5, of=1), frame(0, 4, floor=6, of=1)], 2))
    assert planned.engine.asked[1:] == [(("x",), 5, [], [])]


def test_the_memory_of_a_series_is_dropped_when_it_is_empty():
    stage = merge(plan())
    stage.apply(
        log([frame(0, 1, *(entry(0, ONE, "team", t) for t in ("x", "forgotten")), floor=10**6, of=1)])
    )
    assert stage.series == 1


def test_views_without_rules_are_not_asked_about():
    planned = plan()
    stage = merge(planned)
    stage.apply(log([frame(0, 1, entry(0, ONE), entry(0, ONE, "app", "a"), floor=1, of=1)]))
    assert planned.engine.asked == []


def test_a_view_for_rules_only_is_asked_about_and_keeps_no_windows():
    planned: Any = MergePlan(PANE, VIEWS, engine=Spending("rule"))
    stage = merge(planned)
    assert stage.apply(log([frame(0, 1, entry(0, ONE, "rule", "a"), floor=1, of=1)])) == []
    assert planned.engine.asked == [(("a",), 1, [0], [])]
    assert stage.series == 1


# Checkpoints

TEAMS = [f"team {n}" for n in range(20)]
LOGS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 14), st.sampled_from(TEAMS), st.integers(1, 70), st.integers(-4, 1)
    ),
    min_size=1,
    max_size=40,
)


def random_log(drawn):
    """Frames that know ever more calls; some close what they bring, some are four panes behind it."""
    frames, version, top, total = [], 0, [0, 0], {}
    for source, wanted, team, count, behind in drawn:
        version += count
        pane = max(wanted, top[source] - 4)
        top[source] = max(top[source], pane)
        total[source, pane, team] = total.get((source, pane, team), 0) + count
        content = vitals(calls=total[source, pane, team], latencies_ms=(pane + 1,))
        frames.append(frame(source, version, entry(pane, content, "team", team), floor=top[source] + behind))
    return log([*frames, frame(0, version + 1, floor=99), frame(1, version + 1, floor=99)])


@settings(max_examples=30)
@given(LOGS, st.data())
def test_a_restart_from_a_fuzzy_checkpoint_ends_with_the_same_points_and_alerts(drawn, data):
    """Wherever it crashes and however few buckets a checkpoint has: nothing is lost, nothing differs."""
    records = random_log(drawn)
    planned = plan(buckets=16, rounds=8)
    whole = merge(planned).apply(records)
    with pytest.MonkeyPatch.context() as patch:
        small_pieces(patch)
        straight = merge(planned).apply(records)
        out = disturbed(
            records,
            partial(merge, planned),
            lambda: data.draw(st.integers(1, 3)),
            lambda: data.draw(st.sampled_from(["go on", "go on", "checkpoint", "crash", "torn"])),
        )
    assert stored(out) == stored(straight)
    assert alerts(out) == alerts(straight) == alerts(whole)
    assert contents(straight) == contents(whole)


def test_what_an_open_pane_has_told_is_not_told_again_when_panes_close_in_pieces(monkeypatch):
    """The older pane closes by itself, and without the younger one there are too few calls to tell of."""
    records = random_log([(0, 1, "x", 40, 0), (1, 0, "x", 60, 0)])
    (told,) = alerts(merge(plan()).apply(records))
    assert Alert.decode(told.value).value == 100
    monkeypatch.setattr(settle, "STRETCH", 1)
    planned = plan()
    assert alerts(merge(planned).apply(records)) == {told}
    assert [asked[2:] for asked in planned.engine.asked[-2:]] == [([0], []), ([1], [])]


def test_a_checkpoint_within_a_frame_knows_which_buckets_have_it(monkeypatch):
    """Also of a frame that closes what it brings: else the buckets that have it would count it twice."""
    small_pieces(monkeypatch)
    brought = [entry(pane, ONE, "team", team) for team in TEAMS for pane in (0, 1)]
    records = log([frame(0, 1, *brought, floor=2, of=1), frame(0, 2, floor=6, of=1)])
    straight = list(merge(plan(buckets=4)).pieces(records))
    assert len(straight) > 8
    for cut in range(len(straight)):
        stage = merge(plan(buckets=4))
        out = [message for piece in islice(stage.pieces(records), cut) for message in piece]
        again = merge(plan(buckets=4), stage.snapshot(whole=True).parts)
        out += again.apply(records[again.next :])
        assert stored(out) == stored(chain.from_iterable(straight))


def test_after_a_restart_points_that_kafka_has_are_not_made_again_but_alerts_are():
    """A checkpoint has few of the buckets, so much is read again; the rules may have changed."""
    records = random_log([(n % 2, n // 4, TEAMS[n % 8], 70, 0) for n in range(40)])
    cut, planned = 30, plan(buckets=16, rounds=16)
    stage = merge(planned)
    told = stage.apply(records[:cut])
    again = merge(planned, stage.snapshot().parts)
    assert again.next < cut
    repeated = again.apply(records[again.next : cut])
    assert {message.topic for message in repeated} == {Topic.ALERTS}
    assert alerts(repeated) <= alerts(told)
    rest = stage.apply(records[cut:])
    assert Topic.VITALS in {message.topic for message in rest}
    assert stored(again.apply(records[cut:])) == stored(rest)


def alerts(messages):
    return {message for message in messages if message.topic is Topic.ALERTS}


def test_a_clean_stop_replays_nothing_and_forgets_nothing():
    records = random_log([(n % 2, n // 9, TEAMS[n % 20], 30, -4) for n in range(120)])
    for cut in (1, 37, 90, len(records)):
        stage = merge(plan())
        stage.apply(records[:cut])
        snapshot = stage.snapshot(whole=True)
        assert snapshot.offset == cut
        again = merge(plan(), snapshot.parts)
        assert again.next == cut
        assert again.apply(records[cut:]) == stage.apply(records[cut:])
        assert again.snapshot(whole=True).parts["manifest"] == stage.snapshot(whole=True).parts["manifest"]


def test_every_changed_bucket_is_written_within_its_rounds_and_only_those():
    planned = plan(buckets=64, rounds=16)
    stage = merge(planned)
    teams = [entry(0, ONE, "team", f"{n}") for n in range(500)]
    stage.apply(log([frame(0, 1, *teams)]))
    written = [set(stage.snapshot().parts) - {"manifest"} for _ in range(16)]
    assert [len(names) for names in written] == [4] * 16
    assert len(set.union(*written)) == 64
    assert set(stage.snapshot().parts) == {"manifest"}
    assert stage.snapshot().offset == 1
    stage.apply(log([frame(0, 2, entry(0, ONE, "team", "7"))], 1))
    assert len(stage.snapshot().parts) == 2


def test_the_manifest_comes_last_and_restarts_at_the_oldest_change():
    stage = merge(plan(buckets=64, rounds=64))
    stage.apply(log([frame(0, 1, entry(0, ONE, "team", "a"))]))
    stage.apply(log([frame(0, 1, entry(0, ONE, "team", "b")), frame(0, 2, entry(1, ONE, "team", "c"))], 1))
    assert [stage.snapshot().offset for _ in range(3)] == [1, 2, 3]
    assert list(stage.snapshot(whole=True).parts)[-1] == "manifest"


def checkpoint() -> dict[str, bytes]:
    stage = merge(plan())
    stage.apply(log([frame(0, 1, *(entry(0, ONE, "team", team) for team in TEAMS))]))
    return stage.snapshot(whole=True).parts


@pytest.mark.parametrize("damage", ["missing", "older", "garbage"])
def test_a_checkpoint_that_does_not_hang_together_is_refused(damage):
    stage = merge(plan())
    teams = [entry(0, ONE, "team", team) for team in TEAMS]
    stage.apply(log([frame(0, 1, *teams)]))
    older = stage.snapshot(whole=True).parts
    stage.apply(log([frame(0, 2, *teams)], 1))
    parts = stage.snapshot(whole=True).parts
    name = min(parts)
    if damage == "missing":
        del parts[name]
    elif damage == "older":
        parts[name] = older[name]
    else:
        parts[name] = b"\xc1"
    with pytest.raises(StateLost, match="new `group`"):
        merge(plan(), parts)


def test_a_checkpoint_of_other_panes_is_refused():
    with pytest.raises(ConfigError, match="set `pane` back"):
        merge(MergePlan(PANE // 2, VIEWS), checkpoint())


def test_a_checkpoint_of_another_shard_is_refused():
    with pytest.raises(StateLost):
        Merge(plan(), shard=1, parts=checkpoint(), beginning=0)


def test_reading_begins_where_the_log_does():
    assert merge(plan(), checkpoint(), beginning=5).next == 5
    assert merge(plan(), checkpoint(), beginning=0).next == 1
    assert merge(plan(), beginning=7).next == 7


def test_the_state_of_a_shard_of_which_nothing_is_left_is_empty():
    stage = merge(MergePlan(PANE, VIEWS))
    stage.apply(log([frame(0, 1, entry(0, ONE), floor=1, of=1)]))
    assert stage.series == 1
    assert stage.watermark == DAY + PANE
    stage.apply(log([frame(0, 1, floor=8_640, of=1)], 1))
    assert stage.series == 0
    restored = merge(MergePlan(PANE, VIEWS), stage.snapshot(whole=True).parts)
    assert (restored.series, restored.watermark) == (0, DAY + 8_640 * PANE)
