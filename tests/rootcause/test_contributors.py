"""What a series remembers of who carried it: lately and before, small, and the same after a restart."""

from __future__ import annotations

from itertools import accumulate

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.rootcause.periods import FRESH, KEPT
from llmvitals.rootcause.recent import KINDS, RecentContributors, fixed_kinds
from llmvitals.sketch import top_k
from panes import MINUTE, PANE, vitals

FIRST = 1_700_006_400_000_000 // PANE
SUSPECTS = RecentContributors(PANE)
HOUR = 60 * MINUTE


def held(panes, recent=SUSPECTS):
    """The state after panes: number from FIRST on → vitals."""
    state: dict = {}
    for pane, content in sorted(panes.items()):
        recent.add(state, FIRST + pane, content)
    return state


def pane(user="ann", calls=5, cost=1.0, **names):
    names = {"user": {user: (calls, round(cost * 1e9), 70)}, **names}
    return vitals(calls=calls, cost=cost, names=names, worst={"cost": ((round(cost * 1e9), f"t-{user}"),)})


def spans(state, at, alert=None, **how):
    """The periods at the end of a pane, of an alert that begins then if none is given."""
    end = (FIRST + at) * PANE
    return SUSPECTS.periods(state, end, begun(end) if alert is None else alert, **how)


def begun(at):
    """The state of an alert that began at this time."""
    return {"since": at, "level": ""}


def test_now_is_the_last_minutes_and_before_is_all_else():
    state = held({n: pane() for n in range(HOUR)})
    before, now = spans(state, HOUR)
    assert (now.length, before.length) == (4 * MINUTE * PANE, 56 * MINUTE * PANE)
    assert (now.total[0], before.total[0]) == (5 * 4 * MINUTE, 5 * 56 * MINUTE)
    assert now.names["user"]["ann"][:2] == (5 * 4 * MINUTE, 4 * MINUTE * 10**9)


def test_where_calls_are_few_now_is_longer():
    state = held({n: pane(calls=1) for n in range(0, 2 * HOUR, 2 * MINUTE)})
    before, now = spans(state, 2 * HOUR)
    assert 12 * MINUTE <= now.length // PANE <= 24 * MINUTE
    assert now.length + before.length <= 2 * HOUR * PANE


@given(
    st.lists(st.tuples(st.sampled_from([1, 1, 1, 5, 40, 500]), st.integers(30, 60)), min_size=1, max_size=60)
)
def test_nothing_is_counted_twice_and_nothing_of_the_last_hour_is_missing(steps):
    at, panes = 0, {}
    for gap, calls in steps:
        at += gap
        panes[at] = pane(calls=calls)
    found = spans(held(panes), at + 1)
    if found:
        before, now = found
        counted = now.total[0] + before.total[0]
        assert sum(v.total("calls") for n, v in panes.items() if n > at - HOUR) <= counted
        assert counted <= sum(v.total("calls") for v in panes.values())


def test_there_is_nothing_to_compare_with_at_first_and_after_a_long_silence():
    assert SUSPECTS.periods({}, 5, begun(5)) is None
    assert spans(held({n: pane() for n in range(MINUTE)}), MINUTE) is None
    late = {n: pane() for n in range(MINUTE)} | {4 * HOUR + n: pane() for n in range(MINUTE)}
    assert spans(held(late), 4 * HOUR + MINUTE) is None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.data())
def test_open_panes_are_as_good_as_closed_ones(gaps, data):
    panes = dict(zip(accumulate(gaps), (pane(f"u{gap % 4}", cost=gap) for gap in gaps), strict=True))
    cut, end = data.draw(st.integers(0, len(panes) - 1)), data.draw(st.sampled_from(sorted(panes))) + 1
    at = (FIRST + end) * PANE
    opened = [(FIRST + number, content) for number, content in list(panes.items())[cut:]]
    state = held(dict(list(panes.items())[:cut]))
    before = msgspec.msgpack.encode(state)
    ahead = SUSPECTS.ahead(state, opened, at)
    assert msgspec.msgpack.encode(state) == before
    if end > list(panes)[cut]:
        closed = held({number: content for number, content in panes.items() if number < end})
        assert SUSPECTS.top(ahead, "cost", at) == SUSPECTS.top(closed, "cost", at)
        assert SUSPECTS.periods(ahead, at, begun(at)) == SUSPECTS.periods(closed, at, begun(at))


def test_a_newcomer_is_seen_beside_those_who_have_added_up_for_long():
    many = {f"u{n}": (1, 100_000_000, 7) for n in range(40)}
    panes = {n: vitals(calls=40, names={"user": many}) for n in range(11)}
    newcomer = many | {"new": (20, 150_000_000, 7)}
    panes |= {n: vitals(calls=60, names={"user": newcomer}) for n in range(11, 12)}
    state = held(panes)
    assert state["now"][2]["user"]["new"][0] == 20
    assert len(state["now"][2]["user"]) <= KEPT + FRESH


def test_errors_are_ranked_by_calls_and_forgotten_with_the_last_minutes():
    errors = {f"e{n} in chat": (n, 0, 0) for n in range(1, 20)}
    state = held({n: pane(error=errors) for n in range(MINUTE)})
    top, _ = SUSPECTS.top(state, "cost", (FIRST + MINUTE) * PANE, errors=True)
    assert [(row.name, row.calls) for row in top] == [(f"e{n} in chat", n * MINUTE) for n in (19, 18, 17)]
    state = held({n: pane(error=errors) for n in range(MINUTE)} | {n: pane() for n in range(HOUR, 3 * HOUR)})
    top, _ = SUSPECTS.top(state, "cost", (FIRST + 3 * HOUR) * PANE, errors=True)
    assert top == []
    assert b"in chat" not in msgspec.msgpack.encode(state)


def test_what_the_series_fixes_is_left_out():
    assert fixed_kinds(["user", "tags.x", "prompt_version", "team"]) == {"user", "prompt"}
    assert fixed_kinds(["prompt_name"]) == set()
    state = held({0: pane(prompt={"p@v1": (1, 2, 3)})}, RecentContributors(PANE, {"user"}))
    assert [kind for kind in state["now"][2] if kind in KINDS] == ["prompt"]


@settings(max_examples=30)
@given(st.lists(st.sampled_from([1, 1, 1, 2, 7, 30, 400]), min_size=2, max_size=80), st.data())
def test_a_restart_changes_nothing(gaps, data):
    panes, at = {}, 0
    for gap in gaps:
        at += gap
        names = {"prompt": {data.draw(st.sampled_from("abcdefghijklm")): (3, 5, 9)}}
        panes[at] = pane(data.draw(st.sampled_from(["ann", "bob"])), **names)
    whole, again = held(panes), {}
    for number, content in sorted(panes.items()):
        SUSPECTS.add(again, FIRST + number, content)
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(again))
    end = (FIRST + at + 1) * PANE
    assert SUSPECTS.top(again, "cost", end) == SUSPECTS.top(whole, "cost", end)
    one, other = (SUSPECTS.periods(state, end, begun(end)) for state in (again, whole))
    assert (one and [packed(span) for span in one]) == (other and [packed(span) for span in other])


def packed(span):
    return msgspec.msgpack.encode(span, order="sorted")


def test_an_older_version_s_state_is_begun_anew():
    state = {"from": 5, "now": [{"user": {"ann": [1, 2, 3]}}, {}], "before": [{}, {}]}
    assert SUSPECTS.top(state, "cost", 9) == ([], [])
    SUSPECTS.add(state, FIRST, pane())
    assert set(state) == {"now", "past"}


def test_an_ordinary_users_memory_is_small():
    recent = RecentContributors(PANE, fixed_kinds(["user"]))
    share = (3, 41_234_567, 9_123, 51_234_567, 12_345_678, 700)
    state: dict = {}
    for number in range(0, 60 * HOUR, MINUTE):
        names = {
            "session": {f"session-{number // (10 * MINUTE):08}": share},
            "key": {"search-team-key": share},
            "prompt": {f"answer-{number % 3}@v7": share},
            "model": {("gpt-5-mini", "claude-sonnet-4-5")[number % 2]: share},
        }
        worst = {
            kind: tuple((n + number % 7, f"{n:016x}{number % 7:016x}") for n in (9, 6, 3))
            for kind in top_k.WORST
        }
        content = vitals(calls=3, names={}, worst=worst)
        object.__setattr__(content, "contributors", names)
        recent.add(state, FIRST + number, content)
    assert len(msgspec.msgpack.encode(state)) < 4_000
