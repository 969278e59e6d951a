"""The statistics of a canary: exact against brute force and `ville`, valid at every look, quick where it counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.stats import confseq, eprocess
from llmvitals.stats.confseq import State

MINUTE = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 9), st.integers(0, 9))
ALPHA = 0.01


def product(minutes, null=1.0) -> float:
    """The e-value by its definition: for each ratio the product of binomial likelihoods, averaged by shares."""
    values = []
    for ratio in eprocess.RATIOS:
        value = 1.0
        for n_a, n_b, k_a, k_b in minutes:
            if n_a and n_b:
                share = n_b / (n_a + n_b)
                theta, base = (r * share / (1 - share + r * share) for r in (ratio * null, null))
                value *= (theta / base) ** k_b * ((1 - theta) / (1 - base)) ** k_a
        values.append(value)
    return sum(share * value for share, value in zip(eprocess.SHARES, values, strict=True))


def stepped(minutes, null=1.0) -> np.ndarray:
    state = eprocess.fresh()
    for n_a, n_b, k_a, k_b in minutes:
        state = eprocess.step(state, (n_a, n_b), (min(k_a, n_a), min(k_b, n_b)), null)
    return state


@given(st.lists(MINUTE, max_size=20), st.sampled_from([1.0, 1.1, 2.0]))
def test_an_e_value_is_the_mean_of_products_of_likelihood_ratios(minutes, null):
    minutes = [(n_a, n_b, min(k_a, n_a), min(k_b, n_b)) for n_a, n_b, k_a, k_b in minutes]
    log_e = float(eprocess.evidence(stepped(minutes, null))[0])
    assert log_e == pytest.approx(math.log(product(minutes, null)), abs=1e-9)


@given(st.lists(MINUTE, max_size=8), st.integers(1, 50), st.booleans())
def test_an_empty_arm_says_nothing(minutes, calls, control):
    alone = (calls, 0, min(calls, 9), 0) if control else (0, calls, 0, min(calls, 9))
    assert (stepped([*minutes, alone]) == stepped(minutes)).all()
    values = (float(calls), 3.0, 9.0)
    there = confseq.step(State(), (5, 9.0, 30.0), (4, 5.0, 10.0))
    assert confseq.step(there, values, (0, 0.0, 0.0)) == confseq.step(there, (0, 0.0, 0.0), values) == there


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.01, 0.3), st.sampled_from(eprocess.RATIOS))
def test_no_worse_means_no_gain_in_one_minute_whatever_the_rate(n_a, n_b, rate, ratio):
    """E[e] ≤ 1 for Bernoulli calls: exactly, over all outcomes."""
    share = n_b / (n_a + n_b)
    theta = ratio * share / (1 - share + ratio * share)
    mean_a = (1 - rate + rate * (1 - theta) / (1 - share)) ** n_a
    mean_b = (1 - rate + rate * theta / share) ** n_b
    assert mean_a * mean_b <= 1 + 1e-12


def worlds(runs: int, minutes: int, *, times: float, seed: int):
    """Calls and failures of many runs by minute: 2 % by day and night, and a quarter of an hour of outage."""
    dice = np.random.default_rng(seed)
    for minute in range(minutes):
        busy = 1 + 0.6 * np.sin(2 * np.pi * minute / 1_440)
        rate = 0.5 if times == 1 and minute % 700 < 15 else 0.02
        n = np.stack([dice.poisson(250 * busy, runs), dice.poisson(5 * busy, runs)])
        yield n, np.stack([dice.binomial(n[0], rate), dice.binomial(n[1], rate * times)])


def test_looking_every_minute_of_a_day_does_not_break_the_promise():
    """Beside the z-test, whose promise is for one look."""
    runs, state = 400, eprocess.fresh(400)
    ours, z_test = np.zeros(runs, bool), np.zeros(runs, bool)
    sums = np.zeros((4, runs))
    for n, k in worlds(runs, 1_440, times=1, seed=1):
        state = eprocess.step(state, n, k)
        ours |= eprocess.evidence(state) >= -math.log(ALPHA)
        sums += np.concatenate([n, k])
        n_a, n_b, k_a, k_b = sums
        pooled = (k_a + k_b) / (n_a + n_b)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (k_b / n_b - k_a / n_a) / np.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
        z_test |= (z > 2.326) & (n_b > 30)
    assert ours.mean() <= ALPHA
    assert z_test.mean() > 5 * ALPHA


def test_twice_the_rate_is_found_in_less_than_three_hours():
    runs, state = 300, eprocess.fresh(300)
    found = np.full(runs, 600)
    for minute, (n, k) in enumerate(worlds(runs, 600, times=2, seed=2)):
        state = eprocess.step(state, n, k)
        found[(eprocess.evidence(state) >= -math.log(ALPHA)) & (found == 600)] = minute + 1
    assert np.median(found) < 150


def test_limits_of_a_ratio_hold_the_truth_at_all_times():
    runs, state, out = 150, eprocess.fresh(150), np.zeros(150, bool)
    lows: list[float] = []
    for minute, (n, k) in enumerate(worlds(runs, 700, times=2, seed=3)):
        state = eprocess.step(state, n, k)
        if minute % 10 == 9:
            limits = [eprocess.limits(row, 0.05) for row in state]
            out |= [(low or 0) > 2 or (high or 99) < 2 for low, high in limits]
            lows = [low or 0 for low, _ in limits]
    assert out.mean() <= 0.1
    assert np.median(lows) > 1.2


@pytest.mark.parametrize("w", [50.0, 500.0, 40_000.0])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_boundary_is_the_one_of_ville(w, alpha):
    rho = confseq._tuned(alpha)
    theirs = float(ville.normal_mixture(w, alpha, 1 / rho, one_sided=True))
    state = State(w=w, steps=confseq.STEPS, ww=w, wwdd=w)
    low, high = confseq.limits(state, alpha)
    assert high == pytest.approx(theirs * state.deviation / w, rel=1e-6)
    assert high is not None
    assert low == -high
    mean = theirs * state.deviation / w
    at_the_limit = state._replace(wd=mean * w, wwd=mean * w, wwdd=w + mean**2 * w)
    assert at_the_limit.deviation == pytest.approx(state.deviation)
    assert confseq.evidence(at_the_limit, 0.0, alpha) == pytest.approx(-math.log(alpha), rel=1e-6)


def arms(
    dice: np.random.Generator, minute: int, calls: tuple[int, int], shift: float
) -> list[confseq.ArmSums]:
    """Logs of costs: a mix of prompts that changes over the day, the same in both arms."""
    weights = np.array([1, 1 + 0.9 * np.sin(2 * np.pi * minute / 1_440), 0.5, 0.02])
    found = []
    for count, more in zip(calls, (0.0, shift), strict=True):
        kind = dice.choice(4, count, p=weights / weights.sum())
        x = np.array([0, 1, 2.5, 6])[kind] + dice.normal(0, 0.8, count) + more
        found.append((float(count), float(x.sum()), float((x**2).sum())))
    return found


def test_a_difference_is_the_mean_of_the_minutes_differences_by_weight():
    dice, state, weights, differences = np.random.default_rng(1), State(), [], []
    for minute in range(50):
        a, b = arms(dice, minute, (int(dice.integers(0, 40)), int(dice.integers(0, 5))), 0.3)
        state = confseq.step(state, a, b)
        if a[0] and b[0]:
            weights.append(1 / (1 / a[0] + 1 / b[0]))
            differences.append(b[1] / b[0] - a[1] / a[0])
    assert state.mean == pytest.approx(np.average(differences, weights=weights))


def test_a_level_that_both_arms_share_plays_no_part():
    dice, flat, wavy = np.random.default_rng(1), State(), State()
    for minute in range(60):
        level = 5 * math.sin(minute / 9)
        x, y = dice.normal(0, 1, 40), dice.normal(0.2, 1, 4)
        flat = confseq.step(flat, (40, x.sum(), (x**2).sum()), (4, y.sum(), (y**2).sum()))
        x, y = x + level, y + level
        wavy = confseq.step(wavy, (40, x.sum(), (x**2).sum()), (4, y.sum(), (y**2).sum()))
    assert wavy == pytest.approx(flat)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_cost_is_compared_as_promised(shift):
    """Sixty canaries of six hours, one look a minute; 0.5 in logs is 1.65 times as dear."""
    found = []
    for run in range(60):
        dice, state = np.random.default_rng([run, 3]), State()
        for minute in range(360):
            calls = int(dice.poisson(40)), int(dice.poisson(4))
            state = confseq.step(state, *arms(dice, minute, calls, shift))
            if confseq.evidence(state, 0.0, ALPHA) >= -math.log(ALPHA):
                found.append(minute)
                break
    assert len(found) <= 2 if shift == 0 else len(found) >= 58


def test_before_there_is_enough_nothing_is_said():
    state = State()
    for minute in range(confseq.STEPS - 1):
        state = confseq.step(state, (100, 0.0, 100.0), (100, 500.0 + minute, 2_600.0))
        assert confseq.limits(state, ALPHA) == (None, None)
        assert confseq.evidence(state, 0.0, ALPHA) == 0
    assert confseq.step(state, (100, 0.0, 100.0), (100, 500.0, 2_600.0)).ready
