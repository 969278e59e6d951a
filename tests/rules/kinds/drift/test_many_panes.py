"""What a backtest reads together leaves the state that the worker has, whose panes come one after the other."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from conversation import about, talk
from llmvitals.record.vitals import Vitals
from llmvitals.rules.engine import RuleEngine
from panes import alerts, rule_engine, vitals

FIRST = 178_027_200
HOUR = 360
"""Panes."""


def quiet_traffic(rng: np.random.Generator, length: int, step: int) -> dict[int, Vitals]:
    """Some panes with a call or two, of which half have no vector and a few one of another model; then a new topic.

    Nothing comes for 90 minutes in the fifth hour.
    """
    found = {}
    for at in range(length):
        pane, calls = FIRST + at, int(rng.poisson(0.7))
        if not calls or 4 * HOUR <= at < 5 * HOUR + HOUR // 2:
            continue
        if rng.random() < 0.5:
            found[pane] = vitals(calls=calls)
        else:
            rows = talk(rng, calls, new=0.9 if at >= step else 0)
            how = {"model": "other/64"} if rng.random() < 0.05 else {}
            found[pane] = about(rows, f"{at}", **how)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_few_vectors_of_several_models_leave_the_same_state(tmp_path, seed):
    rng = np.random.default_rng(seed)
    length = 12 * HOUR
    panes = quiet_traffic(rng, length, 9 * HOUR)
    live = rule_engine(tmp_path, "alert: A\ndrift: {learn: 1h, min_calls: 4, series: 1}\nfor: 5m")
    backtest = RuleEngine(live.rules, live.pane, bare=True, updates=False)
    view, states, said = live.views[0].name, ({}, {}), ([], [])
    left = sorted(panes)
    for floor in sorted({FIRST + length, *(FIRST + rng.integers(0, length, 12)).tolist()}):
        closed = [(pane, panes[pane]) for pane in left if pane < floor]
        left = left[len(closed) :]
        for pane, content in closed:
            entry = (pane, content)
            said[0].extend(alerts(live.advance(view, (), states[0], floor=pane + 1, closed=[entry])))
            assert b"merge" not in msgspec.msgpack.encode(states[0])  # plain data, as a checkpoint has it
        said[0].extend(alerts(live.advance(view, (), states[0], floor=floor)))
        said[1].extend(alerts(backtest.advance(view, (), states[1], floor=floor, closed=closed)))
        seen = [msgspec.json.encode(state["rules"]["A"]["seen"], order="sorted") for state in states]
        assert seen[0] == seen[1]
    one, other = ([(alert.at, alert.status, alert.summary) for alert in each] for each in said)
    assert one == other
    assert one, "nothing was found"
