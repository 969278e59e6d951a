"""A view has so many names at a time: the rest is counted in `_other`, whatever happens to merge."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

import world
from frames import (
    FIRST,
    PANE,
    SECOND,
    VIEWS,
    disturbed,
    entry,
    frame,
    log,
    points_of,
    small_pieces,
    stored,
    vitals,
)
from llmvitals.cli.doctor import examine
from llmvitals.errors import StateLost
from llmvitals.merge import Limits, Merge, MergePlan, roster
from llmvitals.merge.roster import Roster, RosterState, share
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import Entry, Frame
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.series import series_key, shard_of
from llmvitals.record.view import OTHER, View
from llmvitals.runtime.kafka import cut_series as crowd
from llmvitals.settings import Settings
from llmvitals.store.sqlite.store import SqliteStore
from machine import run
from store_points import records

PANES = 86_400 * SECOND // PANE
"""Panes of a day."""
ONE = vitals(calls=1, cost_nano=7)


def plan(most: int = 3, **more: Any) -> MergePlan:
    return MergePlan(PANE, VIEWS, limits=Limits(most, most), **more)


def merge(made: MergePlan, parts: dict[str, bytes] | None = None) -> Merge:
    return Merge(made, shard=made.shard, parts=parts or {}, beginning=0)


def apps(messages: list[Message], window: str = "10s") -> dict[int, dict[str, int]]:
    """Start of the window, s → app → calls."""
    found: dict[int, dict[str, int]] = {}
    for (name, view, length, start, tags), point in stored(messages).items():
        if (name, view, length) == ("llm_calls", "app", window):
            found.setdefault(start, {})[dict(tags)["app"]] = point.counts["calls"]
    return found


def told(messages: list[Message]) -> list[tuple[int, dict[str, int], str]]:
    """What points of cardinality of the view `app` say in the end: start in days, counts, examples."""
    return [
        (start // 86_400, point.counts, point.texts["examples"])
        for (name, view, _, start, _), point in stored(messages).items()
        if (name, view) == ("llm_cardinality", "app")
    ]


def said(pane: int, *names: str, version: int = 1, floor: int | None = None, of: int = 1) -> Frame:
    """A frame that closes its pane, unless it is told another floor."""
    entries = [entry(pane, ONE, "app", name) for name in names]
    return frame(0, version, *entries, floor=pane + 1 if floor is None else floor, of=of)


def test_before_there_is_a_floor_no_period_ends():
    """A source that has no watermark yet has a floor that is far below 0."""
    early = [
        replaced(said(pane, *names, version=pane + 1), floor=-(10**12))
        for pane, names in enumerate(["abcx", "yz"])
    ]
    out = merge(plan()).apply(log([*early, said(2, "w", version=3)]))
    assert told(out) == [(0, {"names": 3, "cut": 4}, "x, y, z, w")]


def test_what_is_over_the_limit_is_counted_in_other_and_named():
    stage = merge(plan())
    out = stage.apply(log([said(0, "a", "b"), said(1, "a", "x", "y", "z\n" + "z" * 90)]))
    assert apps(out) == {0: {"a": 1, "b": 1}, 10: {"a": 1, "x": 1, OTHER: 2}}
    assert stage.roster.cut == {"app": 2}
    assert stage.roster.examples("app") == ("y", "z\ufffd" + "z" * 62)
    assert told(out) == [(0, {"names": 3, "cut": 2}, f"y, z\ufffd{'z' * 62}")]


def test_names_that_were_there_the_day_before_keep_their_places():
    """So nobody who sends random names after midnight pushes them out."""
    stage = merge(plan())
    out = stage.apply(log([said(0, "a", "b", "c"), said(PANES, "junk1", "junk2", "a"), said(PANES + 1, "c")]))
    assert apps(out)[86_400] == {"a": 1, OTHER: 2}
    assert apps(out)[86_410] == {"c": 1}


def test_places_of_names_that_were_there_once_are_free_when_a_day_has_passed():
    stage = merge(plan())
    days = [
        said(0, "j1", "j2", "j3"),
        said(PANES, "new"),
        said(2 * PANES, "late"),
        said(2 * PANES + 1, "new"),
    ]
    out = stage.apply(log([*days, said(2 * PANES + 2, floor=2 * PANES + 3)]))
    assert apps(out)[86_400] == {OTHER: 1}
    # The floor comes after the entries: what is free is free from the next pane on.
    assert apps(out)[2 * 86_400] == {OTHER: 1}
    assert apps(out)[2 * 86_400 + 10] == {"new": 1}


def test_names_of_two_days_keep_their_places_for_a_month():
    """A user's monthly budget is read even if he comes back after a week of random names."""
    stage = merge(plan(1))
    out = stage.apply(
        log([said(day * PANES, "user" if day in {0, 1, 30, 90} else "junk") for day in range(91)])
    )
    assert [day for day in (0, 1, 30, 90) if "user" in apps(out)[day * 86_400]] == [0, 1, 30]


def test_a_name_that_was_cut_stays_cut_while_its_pane_is_open():
    """Its entries are sums since the pane began: what is in `_other` already may not be counted again."""
    open_ = [entry(2 * PANES, ONE, "app", name) for name in ("new", "newer")]
    more = [entry(2 * PANES, vitals(calls=5), "app", name) for name in ("new", "newer")]
    frames = [
        frame(0, 1, entry(0, ONE, "app", "a"), *open_, floor=1, of=1),
        frame(0, 2, floor=2 * PANES, of=1),  # the place of "a" is free from here on
        frame(0, 3, *more, floor=2 * PANES, of=1),
        said(2 * PANES + 1, "new", version=4),
    ]
    out = merge(plan(1)).apply(log(frames))
    assert apps(out)[2 * 86_400] == {OTHER: 10}
    assert apps(out)[2 * 86_400 + 10] == {"new": 1}


def test_a_name_that_got_a_place_stays_cut_in_the_panes_before():
    day = 2 * PANES
    frames = [
        frame(0, 1, entry(0, ONE, "app", "a"), entry(day, ONE, "app", "new"), floor=1, of=1),
        frame(0, 2, floor=day, of=1),
        frame(0, 3, entry(day + 1, ONE, "app", "new"), floor=day, of=1),
        frame(0, 4, entry(day, vitals(calls=5), "app", "new"), floor=day + 2, of=1),
    ]
    out = merge(plan(1)).apply(log(frames))
    assert apps(out)[2 * 86_400] == {OTHER: 5}
    assert apps(out)[2 * 86_400 + 10] == {"new": 1}


def test_every_shard_counts_its_own_other_and_says_which_it_is():
    made = [plan(1, shards=3, shard=shard) for shard in range(3)]
    names = [f"n{number}" for number in range(300)]
    found: dict[Any, Any] = {}
    for each in made:
        mine = [name for name in names if shard_of("app", (name,), 3) == each.shard]
        entries = tuple(entry(0, ONE, "app", name) for name in mine)
        sent = Frame("calls/0", {"calls": 1}, each.shard, 3, FIRST + 1, 1, PANE, entries)
        stored(merge(each).apply(log([sent])), found)
    points = {place: point for place, point in found.items() if place[:3] == ("llm_calls", "app", "10s")}
    assert sum(point.counts["calls"] for point in points.values()) == 300
    assert len(points) == 3 * share(1, 3) + 3
    others = [dict(place[4]) for place in points if dict(place[4])["app"] == OTHER]
    home = shard_of("app", (OTHER,), 3)
    assert sorted(tags.get("shard", str(home)) for tags in others) == ["0", "1", "2"]
    assert sum("shard" in tags for tags in others) == 2


def test_of_sessions_the_hour_counts_and_other_is_not_kept():
    views = {"s": View("s", ("session",), stored=False)}
    watched: Any = MergePlan(PANE, views, engine=Everything(), limits=Limits(1_000, 2))
    stage = merge(watched)

    def sessions(pane: int, *names: str) -> Frame:
        return frame(0, 1, *(entry(pane, ONE, "s", name) for name in names), floor=pane + 1, of=1)

    stage.apply(log([sessions(0, "a", "b", "c")]))
    assert sorted(watched.engine.seen) == ["a", "b"]
    stage.apply(log([sessions(720, "x"), sessions(721, "y", "z", "w")], 1))
    assert sorted(watched.engine.seen) == ["a", "b", "y", "z"]


class Everything:
    """A rule that notes which series it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def reads(self, view: str) -> bool:
        return True

    def due(self, state: dict[str, Any]) -> int:
        return 2**62

    def quiet(self, *_: Any) -> bool:
        return False

    def absorb(self, *_: Any, **__: Any) -> None:
        raise AssertionError("it is never quiet")

    def headroom(self, *_: Any) -> tuple[dict[tuple[str, ...], int], range]:
        return {}, range(0)

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Any]:
        return []

    def finish(self, *_: Any) -> list[Any]:
        return []

    def advance(self, view: str, series: tuple[str, ...], *_: Any, **__: Any) -> list[Any]:
        self.seen += series
        return []


def test_ordinary_users_lose_no_name_to_the_hash():
    names = Counter(shard_of("app", (f"app-{n}",), 8) for n in range(20_000))
    assert max(names.values()) <= share(20_000, 8)


# Restarts


def flood(seed: int, frames: int = 30, names: int = 12) -> list[Logged]:
    """Two sources that say names again and again, in panes over some days, each version a larger sum."""
    dice, out, version, floors = random.Random(seed), list[Frame](), 0, [0, 0]
    for _ in range(frames):
        source = dice.randrange(2)
        version += 1
        pane = floors[source] + dice.choice([0, 0, 0, 1, 2])
        entries = [
            entry(pane, vitals(calls=version, cost_nano=version), view, f"n{dice.randrange(names)}")
            for view in dice.choices(["app", "team"], k=dice.randint(1, 4))
        ]
        floors[source] += dice.choice([0, 0, 1, 1, 3, PANES // 3, PANES])
        out.append(frame(source, version, *unique(entries), floor=floors[source]))
    return log([*out, *(frame(source, version + 1, floor=max(floors) + 9) for source in range(2))])


def unique(entries: list[Entry]) -> list[Entry]:
    return list({(each.view, each.series): each for each in entries}.values())


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of one pane, and a part of the names for every few changes."""
    monkeypatch.setattr(roster, "DELTA", 5)
    small_pieces(monkeypatch)


@pytest.mark.usefixtures("_small")
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_a_restart_at_any_point_gives_the_same_and_totals_are_exact(seed, most):
    """Also where the limits were changed in between: what was decided before stays so."""
    records, dice = flood(seed), random.Random(seed)
    straight = stored(merge(plan(most, buckets=8, rounds=4)).apply(records))
    want = stored(merge(plan(10**6)).apply(records))
    assert stored(restarted(records, [most], dice)) == straight
    changed = stored(restarted(records, range(1, 9), dice))
    for found in (straight, changed):
        assert totals(found) == totals(want)


def totals(found: dict[Any, Any]) -> dict[Any, Counter[str]]:
    """Measurement, view, window, start → sums over all names."""
    sums: dict[Any, Counter[str]] = {}
    for place, point in found.items():
        if place[0] == "llm_calls":
            counts = {name: point.counts[name] for name in ("calls", "cost_nano")}
            sums.setdefault(place[:4], Counter()).update(counts)
    return sums


def restarted(records: list[Logged], limits: Sequence[int], dice: random.Random) -> list[Message]:
    """What is sent when it dies again and again.

    limits: one of them holds, and another from a restart on that comes after a checkpoint.
    """
    most = dice.choice(limits)

    def start(parts: dict[str, bytes]) -> Merge:
        """A checkpoint is written when a shard is taken over, before anything is applied."""
        stage = merge(plan(most, buckets=8, rounds=4), parts)
        parts.update(stage.snapshot().parts)
        return stage

    def what() -> str:
        nonlocal most
        found = dice.choices(["go on", "checkpoint", "crash", "torn", "restart"], [40, 12, 2, 2, 1])[0]
        if found == "restart":
            most = dice.choice(limits)
        return found

    return disturbed(records, start, lambda: dice.randint(1, 6), what)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_lives_full_of_crashes_end_like_undisturbed_ones(rnd, most):
    """The random machine, with fewer places than names."""
    limits = Limits(most, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "MERGE", replace(world.MERGE, limits=limits, shards=1))
        patch.setattr(roster, "share", lambda most, shards: most)
        patch.setattr(roster, "DELTA", 1)
        small_pieces(patch)
        ended = run(rnd, 120)
        sums: Counter[Any] = Counter()
        for shard in ended.shards:
            alone = Merge(world.MERGE, shard=shard.number, parts={}, beginning=0)
            assert shard.points == stored(alone.apply(shard.log))
            for place, point in shard.points.items():
                if place[0] == "llm_calls":
                    sums[place[:4]] += point.counts["cost_nano"]
        want: Counter[Any] = Counter()
        for place, expected in ended.expected().items():
            want[place[:4]] += expected.counts["cost_nano"]
    assert sums == want


def test_a_checkpoint_of_a_version_without_a_roster_is_read_and_decides_nothing_anew():
    """What was counted by its name before the crash is not counted in `_other` when it is replayed."""
    frames = log([frame(0, 1, *(entry(0, ONE, "app", f"n{n}") for n in range(9)), floor=0, of=1)])
    stage = merge(plan(10**6))
    stage.apply(frames)
    parts = dict(stage.snapshot(whole=True).parts)
    manifest = msgspec.msgpack.decode(parts[MANIFEST])
    manifest[5] = 0  # replay from the beginning, as after a fuzzy checkpoint
    parts[MANIFEST] = msgspec.msgpack.encode(manifest[:-1])
    again = merge(plan(2), parts)
    out = again.apply([*frames, *log([frame(0, 2, floor=1, of=1), said(1, "n1", "m1", version=3)], 1)])
    assert set(apps(out)[0]) == {f"n{n}" for n in range(9)}
    assert apps(out)[10] == {"n1": 1, OTHER: 1}


def test_names_of_another_checkpoint_are_refused(monkeypatch):
    monkeypatch.setattr(roster, "DELTA", 1)
    stage = merge(plan(10))
    stage.apply(log([said(0, *"abcdef")]))
    parts = dict(stage.snapshot(whole=True).parts)
    assert "names/1" in parts
    stage.apply(log([said(1, *"ghij", version=2)], 1))
    stage.apply(log([said(2, "k", version=3)], 2))
    with pytest.raises(StateLost, match="new `group`"):
        merge(plan(10), parts | {"names/1": msgspec.msgpack.encode((99, {}))})


def test_ten_times_as_many_names_do_not_grow_a_shard():
    """Names, series alive, the checkpoint and the points a pane are bounded by the limit."""
    sizes = []
    for fresh in (2_000, 20_000):
        stage, made = merge(plan(100)), 0
        for pane in range(10):
            names = [f"p{pane}n{number}" for number in range(fresh // 10)]
            made = len(stage.apply(log([said(pane, *names, version=pane + 1)], pane)))
        sizes.append((stage.series, made, sum(map(len, stage.snapshot(whole=True).parts.values()))))
    assert sizes[0][:2] == sizes[1][:2]
    assert sizes[1][2] < 2 * sizes[0][2]


def test_a_series_has_so_many_names_of_scores_in_a_day():
    """Each is a tag in the store: the names that came first stay, whatever others are called."""
    frames = []
    for minute in range(40):
        names = ["faithfulness", *(f"a{99 - minute:02}{number}" for number in range(5))]
        scored = dataclasses.replace(ONE, scores=dict.fromkeys(names, (1, 500000, 250000)))
        frames.append(frame(0, minute + 1, entry(6 * minute, scored), floor=6 * minute + 6, of=1))
    found = stored(merge(plan()).apply(log(frames)))
    names = [dict(tags)["score"] for name, _, _, _, tags in found if name == "llm_scores"]
    assert len({*names}) == 32
    minutes = [place for place in found if place[0] == "llm_scores" and place[2] == "1m"]
    assert sum(dict(place[4])["score"] == "faithfulness" for place in minutes) == 40


async def test_the_doctor_names_what_was_cut(tmp_path):
    made = Settings(sqlite=tmp_path / "vitals.db", alerts=tmp_path, brokers="127.0.0.1:9")
    out = merge(plan(1)).apply(log([said(0, "a", "junk1", "junk2")]))
    now = time.time_ns() // 1_000
    writer = SqliteStore(made)
    points = [msgspec.structs.replace(point, start=now) for point in points_of(out)]
    await writer.take(0, records(points))
    await writer.stop()
    (finding,) = [finding for finding in await examine(made) if finding.what == "names"]
    assert finding.state == "warning"
    assert "app: 2, such as junk1, junk2" in finding.found
    assert "LLMVITALS_MAX_SERIES" in finding.cure


def test_the_log_names_some_once_a_minute(monkeypatch):
    now, stage, lines = [0.0], merge(plan(1)), []
    monkeypatch.setattr(crowd.log, "warning", lambda text, *args: lines.append(text % args))
    stage.apply(log([said(0, "a", "junk")]))
    looker = crowd.CutSeriesLog(lambda: now[0])
    for now[0] in (0, 30, 59, 60):
        looker.look(stage.roster, ["app"])
    looker.look(stage.roster, [])
    assert [line.partition(":")[0] for line in lines] == [
        "view app has more names than it may have and counts the rest in _other, such as junk"
    ] * 2


def test_cut_names_are_told_on_the_topic_of_the_points():
    out = merge(plan(1)).apply(log([said(0, "a", *(f"j{n}" for n in range(3_000)))]))
    (point,) = told(out)
    assert 2_500 < point[1]["cut"] < 3_500
    assert {message.topic for message in out} == {Topic.VITALS}


# The series that share a promise


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_live_names_are_those_of_earlier_days_however_calls_come(seed):
    """Frames of up to a day, with panes ahead of the floor, against each day by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roster, "ESTABLISHED", 3)
        dice, quarter = random.Random(seed), PANES // 4
        days = [[n for n in range(6) if dice.random() < (0.5 if day % 9 else 0.1)] for day in range(30)]
        seen = sorted(
            (day * 4 + dice.randrange(4), name) for day, some in enumerate(days, 3) for name in some
        )
        found, names = Roster(plan(9), saved=RosterState(), parts={}, until=0), live_by_day([*days, [], []])
        floor = 12
        while floor < 33 * 4:
            ahead = floor + dice.randrange(1, 5)
            come = [(at, name) for at, name in seen if at < ahead]
            seen = seen[len(come) :]
            keys = [series_key("app", (f"n{name}",)) for _, name in come]
            assert not found.rejected(floor, "app", keys, [at * quarter for at, _ in come])
            before, floor = floor, dice.randrange(floor, ahead + 1)
            found.end_frame(floor, floor * quarter, rose=floor > before)
            for at in range(before, floor):
                ((_, live),) = [*found.live("app", at * quarter, at * quarter + 1)]
                assert live == max(names[at // 4 - 3], 1), at


def live_by_day(days: Sequence[Sequence[int]]) -> list[int]:
    """How many names of earlier days each day has, with an ESTABLISHED of 3."""
    places, live = dict[int, tuple[int, int]](), list[int]()
    for day, names in enumerate(days):
        places = {
            name: (first, last)
            for name, (first, last) in places.items()
            if last >= day - (3 if last > first else 1)
        }
        live.append(len(places))
        places |= {name: (places.get(name, (day, day))[0], day) for name in names}
    return live
