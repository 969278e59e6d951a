"""Runaways: a session that spends too much, or asks for the same tools over and over, is heard at once, once."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.errors import RuleError
from panes import MINUTE, PANE, alerts, rule_engine, transitions, vitals, walk

FIRST = 1_700_000_000_000_000 // PANE // (10 * MINUTE) * 10 * MINUTE
SPEND, TOOL, LOOP = "spend: 5", "same_tool: 20", "signatures: {calls: 30, at_most: 3}"


def rule(folder, condition: str):
    return rule_engine(folder, f"alert: Runaway\nrunaway: {{by: [session], {condition}}}")


def tools(cost: float = 0, **times: int):
    """A pane with tool calls; `__` stands for #."""
    names = {name.replace("__", "#"): (count, 0, 0) for name, count in times.items()}
    return vitals(cost=cost, names={"tool": names})


def heard(folder, condition: str, contents, end: int = 300, series: str = "s1"):
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    return walk(rule(folder, condition), panes, FIRST + end, series=(series,))


def life(folder, condition: str, contents, end: int = 300):
    return [
        (how, level, pane - FIRST)
        for how, level, pane in transitions(heard(folder, condition, contents, end))
    ]


def test_spend_speaks_at_its_limit_and_again_at_twice_and_five_times(tmp_path):
    assert life(tmp_path, SPEND, [vitals(cost=1)] * 26) == [
        ("firing", "", 4), ("firing", "×2", 9), ("firing", "×5", 24), ("resolved", "×5", 25 + 56),
    ]  # fmt: skip
    assert life(tmp_path, SPEND, [vitals(cost=4.99)]) == []


def test_it_is_one_episode_that_grows_critical(tmp_path):
    found = heard(tmp_path, SPEND, [vitals(cost=6), vitals(cost=24)])
    assert [(alert.severity, alert.value, alert.limit) for alert in found] == [
        ("warning", 6, 5), ("critical", 30, 5), ("critical", 0, 5),
    ]  # fmt: skip
    assert len({alert.episode for alert in found}) == 1
    assert found[1].summary == "session=s1 spent $30 within 10m; limit $5"
    assert found[2].summary == "session=s1 is back below the limit"


def test_money_that_is_spread_out_is_none(tmp_path):
    assert life(tmp_path, SPEND, [vitals(cost=4), *[None] * 60, vitals(cost=4)]) == []


def test_the_same_tool_with_the_same_arguments(tmp_path):
    assert life(tmp_path, TOOL, [tools(search__ab12=10), tools(search__ab12=9), tools(search__ab12=1)])[0] == (
        "firing", "", 2,
    )  # fmt: skip
    assert life(tmp_path, TOOL, [tools(search__ab12=19, search__cd34=19)]) == []
    (alert, _) = heard(tmp_path, TOOL, [tools(search__ab12=23, fetch__1=4)])
    assert (alert.metric, alert.unit, alert.value, alert.limit) == ("tool_calls", "count", 23, 20)
    assert (
        alert.summary
        == "session=s1 called search#ab12 23 times within 10m, each time with the same arguments"
    )


def test_a_tool_without_known_arguments_is_not_known_to_be_the_same(tmp_path):
    assert life(tmp_path, f"{TOOL}, {LOOP}", [tools(search=500)]) == []


def test_many_calls_of_few_kinds_are_a_loop(tmp_path):
    (alert, _) = heard(tmp_path, LOOP, [tools(a__1=16), tools(b__2=16)])
    assert alert.at // PANE - 1 == FIRST + 1
    assert alert.summary == "session=s1 made 32 tool calls within 10m, of only 2 kinds: a#1, b#2"
    assert life(tmp_path, LOOP, [tools(a__1=10, b__2=10, c__3=10, d__4=10)]) == []
    assert life(tmp_path, LOOP, [tools(a__1=10, b__2=10, c__3=9)]) == []


def test_of_several_limits_the_worst_speaks_and_the_money_stands_beside_it(tmp_path):
    (alert, _) = heard(tmp_path, f"{SPEND}, {TOOL}", [tools(cost=0.8, search__ab12=23)])
    assert (alert.unit, alert.value, alert.limit) == ("usd", 0.8, 5)
    assert "called search#ab12 23 times" in alert.summary


@pytest.mark.parametrize("many", [SPEND, TOOL])
def test_what_is_not_known_to_be_one_session_is_none(tmp_path, many):
    assert heard(tmp_path, many, [tools(cost=100, search__ab12=1000)], series="unknown") == []


def test_open_panes_are_heard_at_once_and_only_once(tmp_path):
    watched = rule(tmp_path, f"{SPEND}, {TOOL}")
    view, state = watched.views[0].name, {}
    assert watched.views[0].eager

    def step(floor, closed=(), opened=()):
        nonlocal state
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
        said = watched.advance(view, ("s1",), state, floor=floor, closed=closed, opened=opened)
        return [(alert.status, alert.level) for alert in alerts(said)]

    half, whole = vitals(cost=3), vitals(cost=6)
    assert step(FIRST + 1, closed=[(FIRST, vitals(cost=1))], opened=[(FIRST + 1, half)]) == []
    assert step(FIRST + 1, opened=[(FIRST + 1, whole)]) == [("firing", "")]
    assert step(FIRST + 1, opened=[(FIRST + 1, whole)]) == []
    assert step(FIRST + 2, closed=[(FIRST + 1, whole)]) == []
    assert step(FIRST + 2, opened=[(FIRST + 2, tools(search__ab12=40))]) == [("firing", "×2")]
    assert step(FIRST + 100, closed=[(FIRST + 2, tools(search__ab12=40))]) == [("resolved", "×2")]
    assert state == {}


def test_told_early_or_late_it_is_the_same_episode(tmp_path):
    watched = rule(tmp_path, SPEND)
    (view,) = watched.views
    spent = vitals(cost=6)
    (early,) = watched.advance(view.name, ("s1",), {}, floor=FIRST, opened=[(FIRST, spent)])
    (late,) = watched.advance(view.name, ("s1",), {}, floor=FIRST + 1, closed=[(FIRST, spent)])
    assert early.encode() == late.encode()


def test_what_an_open_pane_showed_is_not_over_because_an_older_one_closes(tmp_path):
    watched = rule(tmp_path, SPEND)
    view, state = watched.views[0].name, {}
    early = watched.advance(view, ("s1",), state, floor=FIRST, opened=[(FIRST + 1, vitals(cost=6))])
    between = watched.advance(view, ("s1",), state, floor=FIRST + 1, closed=[(FIRST, vitals(cost=1))])
    assert ([alert.status for alert in early], between) == (["firing"], [])


def test_a_second_runaway_is_another_episode_however_soon_it_comes(tmp_path):
    contents = [vitals(cost=4.9), *[None] * 58, vitals(cost=0.2), None, vitals(cost=4.9), *[None] * 70]
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    found = walk(rule(tmp_path, SPEND), panes, FIRST + 300, series=("s1",))
    assert [(how, pane - FIRST) for how, _, pane in transitions(found)] == [
        ("firing", 59), ("resolved", 60), ("firing", 61), ("resolved", 121),
    ]  # fmt: skip
    assert found[0].episode == found[1].episode != found[2].episode == found[3].episode


@pytest.mark.parametrize(
    ("condition", "cure"),
    [
        ("window: 10m", "write what is too much"),
        ("by: [], spend: 5", "write who may run away"),
        ("spend: $5", "write a number of dollars"),
        ("spend: 0", "write dollars above 0"),
        ("same_tool: 1", "write 2 or more"),
        ("same_tool: 2.5", "write a whole number"),
        ("signatures: 30", "write {calls: 30, at_most: 3}"),
        ("signatures: {calls: 30}", "at_most is missing"),
        ("signatures: {calls: 30, most: 3}", "did you mean at_most?"),
        ("signatures: {calls: 3, at_most: 3}", "at_most has to be well below calls"),
        ("spend: 5, window: 2d", "at most 24h"),
        ("spend: 5}\nfor: 5m #", "takes no for: leave it out"),
    ],
)
def test_mistakes_are_told_with_their_cure(tmp_path, condition, cure):
    with pytest.raises(RuleError, match=re.escape(cure)):
        rule_engine(tmp_path, f"alert: A\nrunaway: {{{condition}}}")


CONTENTS = st.lists(
    st.one_of(
        st.none(),
        st.builds(
            lambda cost, a, b: tools(cost=cost, a__1=a, b__2=b),
            st.sampled_from([0, 1, 4, 12]),
            st.integers(1, 25),
            st.integers(1, 25),
        ),
    ),
    max_size=14,
)


@given(CONTENTS, st.sets(st.integers(0, 100)), st.booleans())
def test_any_batching_gives_the_same_alerts(tmp_path_factory, contents, cuts, packed):
    watched = rule(tmp_path_factory.mktemp("rules"), f"window: 1m, {SPEND}, {TOOL}, {LOOP}")
    panes = {FIRST + at: content for at, content in enumerate(contents) if content}
    whole = walk(watched, panes, FIRST + 100, series=("s1",))
    cuts = {FIRST + cut for cut in cuts}
    assert walk(watched, panes, FIRST + 100, cuts=cuts, series=("s1",), packed=packed, ticks=True) == whole
