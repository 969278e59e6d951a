"""The weights of calls whose cell has just failed: by their definition, and what they are for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmvitals.stats import clusters, eprocess, recent
from llmvitals.stats.clusters import CELLS, Rows, Tally
from llmvitals.stats.recent import LEAST, MEMORY, SHAPE, Recent

BAR = math.log(100)


def one(*minutes: tuple[int, float, float]) -> Recent:
    """What is remembered of a cell: minute, calls, events."""
    memory = Recent.empty(1, cells=1)
    for minute, n, k in minutes:
        memory = recent.step(memory, minute, np.array([[n]]), np.array([[k]]))
    return memory


def test_a_call_weighs_one_until_its_cell_fails():
    assert recent.weights(one(), 3) == 1
    assert recent.weights(one((3, 10, 0)), 4) == 1


def test_the_weight_is_what_its_definition_says():
    memory = one((3, 4, 0), (5, 2, 1))
    fading = math.exp(-1 / MEMORY)
    n, k = (4 * fading**2 + 2) * fading, fading
    usual = (2 + 1) / (100 + 6)
    assert recent.weights(memory, 6)[0, 0] == pytest.approx((SHAPE + usual * n) / (SHAPE + k))


def test_what_failed_is_forgotten():
    memory = one((3, 2, 2))
    weights = [float(recent.weights(memory, minute)[0, 0]) for minute in (4, 10, 20, 200)]
    assert weights == sorted(weights)
    assert weights[0] < 0.2
    assert weights[-1] > 0.999


def test_a_cell_that_always_fails_is_still_heard():
    memory = one((1, 9_000, 0), *((minute, 2, 2) for minute in range(201, 220)))
    assert recent.weights(memory, 220) == LEAST


def weighed(
    dice: np.random.Generator, runs: int, minutes: int, *, ratio: float, lasting: float, weights: bool = True
) -> float:
    """The share of runs that alarm. Two arms of 40 and 10 calls a minute, of which 1 % and ratio % fail.

    lasting: the failures of a session that fails, one a minute in the mean; 1: calls fail by themselves.
    """
    rows, tally, logs = Rows(np.full(runs, 1.0), np.ones(runs)), Tally.empty(runs), eprocess.fresh(runs)
    memory, failing = Recent.empty(runs), np.zeros((2, runs, CELLS))
    found = np.zeros(runs, bool)
    arms = np.array([40.0, 10.0])[:, None, None]
    rate = 0.01 * arms * np.array([1.0, ratio])[:, None, None] / CELLS
    for minute in range(minutes):
        n = dice.poisson(arms / CELLS, (2, runs, CELLS)).astype(float)
        begun = dice.poisson(rate / lasting, failing.shape)
        failing += begun * (lasting > 1)
        k = failing + begun * (lasting == 1)
        n += k
        failing = (
            dice.binomial(failing.astype(int), 1 - 1 / lasting).astype(float) if lasting > 1 else failing
        )
        weight = recent.weights(memory, minute) if weights else 1.0
        memory = recent.step(memory, minute, n.sum(axis=0), k.sum(axis=0))
        n, k = n * weight, k * weight
        tally = clusters.step(tally, rows, n, k)
        logs = eprocess.step(logs, n.sum(axis=2), k.sum(axis=2))
        phi = clusters.noise(tally, rows, 0.01).phi
        found |= eprocess.evidence(logs / phi[:, None]) >= BAR
    return float(found.mean())


@pytest.mark.parametrize("lasting", [1.0, 6.0])
def test_an_arm_that_is_no_worse_is_quiet(lasting):
    assert weighed(np.random.default_rng(1), 100, 500, ratio=1.0, lasting=lasting) <= 0.02


def test_an_arm_whose_sessions_fail_more_often_is_found_sooner():
    with_weights, without = (
        weighed(np.random.default_rng(2), 40, 400, ratio=4.0, lasting=6.0, weights=weights)
        for weights in (True, False)
    )
    assert with_weights > without + 0.2


def test_evidence_of_independent_calls_is_at_most_one_in_the_mean():
    """The e-value of many calls that are no worse, with weights, and without division by any noise."""
    dice, runs = np.random.default_rng(3), 4_000
    memory, logs = Recent.empty(runs, cells=8), eprocess.fresh(runs)
    for minute in range(30):
        n = np.broadcast_to(np.array([6, 2])[:, None, None], (2, runs, 8))
        k = dice.binomial(n, 0.05).astype(float)
        weight = recent.weights(memory, minute)
        memory = recent.step(memory, minute, n.sum(axis=0), k.sum(axis=0))
        logs = eprocess.step(logs, (n * weight).sum(axis=2), (k * weight).sum(axis=2))
    assert (weight < 0.9).mean() > 0.1
    assert np.exp(eprocess.evidence(logs)).mean() < 1.1
