"""The limits of drift are learned a second time while it watches: they fall, and never rise."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from conversation import about, talk
from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.drift import calibration, second_limits
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.stats.hotelling import SPANS
from llmvitals.window import MINUTE

LEARN = 360
SECOND = 108 * second_limits.TIMES + 1
"""Minutes after which the limits are learned a second time: 108 of 360 were the first ones'."""
RUN = 43_200.0


def fed(state: dict, contents: list[Vitals], start: int) -> list:
    detector = Drift(learn="6h", series=1).detector(MINUTE, ())
    said = [reading for at, each in enumerate(contents, start) for reading in detector.take(state, at, each)]
    return [reading for reading in said if reading.stands]


def minutes(seed: int, count: int, *, new: float = 0.0) -> list[Vitals]:
    rng = np.random.default_rng(seed)
    return [about(talk(rng, 30, new=new), f"{seed}.{number}") for number in range(count)]


def roots(seed: int, count: int, *, slope: float = 0.0) -> np.ndarray:
    """Nearly normal, independent; `slope`: what they rise by in all."""
    drift = slope * np.arange(count)[:, None] / count
    return 6 + 0.2 * np.random.default_rng(seed).normal(size=(count, len(SPANS))) + drift


@pytest.fixture(scope="module")
def first() -> calibration.Calibration:
    state: dict = {"cap": math.inf}
    for number, each in enumerate(roots(1, 864), 1):
        calibration.add_roots(state, each)
        if number % 36 == 0:
            calibration.close(state)
    return calibration.fitted(state, 36, 1.0, borrow=calibration.BORROWED)


def watched(values: np.ndarray, step: int = 1) -> dict:
    state: dict = {}
    for each in values:
        second_limits.add(state, each, step, 864)
    return state


@pytest.mark.parametrize("step", [1, 150])
def test_more_minutes_lower_the_limits(first, step):
    """Steps may be longer than blocks."""
    state = watched(roots(2, max(864 * second_limits.TIMES // step, second_limits.BLOCKS)), step)
    assert set(state) == {"fitted"}
    lower = second_limits.limits(state, first, RUN)
    assert (lower <= first.limits(RUN)).all()
    # What is normal goes 5 deviations from its mean once in so many minutes.
    assert (lower < 0.97 * first.limits(RUN)).sum() >= (4 if step == 1 else 1)
    assert (lower > 4).all()


def test_a_slow_change_raises_no_limit(first):
    state = watched(roots(3, 864 * second_limits.TIMES, slope=2.0))
    assert second_limits.limits(state, first, RUN) == pytest.approx(first.limits(RUN))


def test_an_old_reference_keeps_its_limits(first):
    state: dict = {}
    second_limits.add(state, roots(4, 1)[0], 1, 0)
    assert state == {}
    assert second_limits.limits(state, first, RUN).tolist() == first.limits(RUN).tolist()


def test_a_change_is_further_from_what_days_have_shown():
    """The same minutes, with the first and with the second limits."""
    state: dict = {}
    fed(state, minutes(5, LEARN), 0)
    fed(state, minutes(6, SECOND), LEARN)
    assert "fitted" in state["watched"][0]
    once = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    once["watched"] = [{} for _ in once["watched"]]
    start, changed = LEARN + SECOND, minutes(7, 12, new=0.2)
    scores = [[each.value for each in fed(each, changed, start)] for each in (state, once)]
    assert max(scores[1]) > 1
    assert scores[0][-1] > 1.03 * scores[1][-1]
