"""The noise of clusters: its parts by their definitions, and what they are for, on calls that go together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmvitals.sketch import cells
from llmvitals.stats import clusters, eprocess
from llmvitals.stats.clusters import CELLS, PARTS, Rows, Tally

ALPHA = 0.01
RATE = Rows(np.array([1.1]), np.array([1.0]))


def stepped(blocks: list[tuple[np.ndarray, np.ndarray]], rows: Rows = RATE) -> Tally:
    """A tally of blocks: calls and events by arm and cell."""
    tally = Tally.empty(1)
    for n, k in blocks:
        tally = clusters.step(tally, rows, *(each.reshape(2, 1, CELLS).astype(float) for each in (n, k)))
    return tally


def users(cells: np.ndarray) -> np.ndarray:
    """The sums of the cells of each user."""
    return np.array([cells[first : first + PARTS].sum() for first in range(0, CELLS, PARTS)])


def even(weight: np.ndarray) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum())


def raised(freedom: float) -> float:
    """f."""
    v, bits = max(freedom, 1.0), -math.log(ALPHA)
    kappa = (8 * v + 1) / (8 * v + 3)
    return v * (math.exp(2 * bits / v / kappa**2) - 1) / (2 * bits)


def by_definition(blocks: list[tuple[np.ndarray, np.ndarray]], null: float) -> tuple[float, float]:
    """V_c and φ, call by call as the module states them."""
    u, w = np.zeros((2, CELLS)), np.zeros((2, CELLS))
    independent = squares = extra = events = 0.0
    added, weights, calls = [], [], np.zeros(2)
    for n, k in blocks:
        n_a, n_b = n.sum(axis=1)
        if not n_a or not n_b:
            continue
        total, p = n_a + n_b, k.sum() / (n_a + null * n_b)
        gains = -null * n_b / total * (k[0] - p * n[0]), n_a / total * (k[1] - null * p * n[1])
        u += gains
        w += null * n_b / total * n[0], n_a / total * n[1]
        added.append(float(sum(gain.sum() for gain in gains)))
        weights.append(n_a * n_b / total)
        independent += (n_a / total) ** 2 * k[1].sum() + null**2 * (n_b / total) ** 2 * k[0].sum()
        extra += sum(((k[arm] ** 2 - k[arm]) - (n[arm] * k.sum() / total) ** 2).sum() for arm in (0, 1))
        events += k.sum()
        calls += n_a, n_b
    residual = sum(u[arm] - w[arm] * u[arm].sum() / w[arm].sum() for arm in (0, 1))
    share = calls[1] / calls.sum()
    weight = share * w[0] + (1 - share) * w[1]
    drawn = w[1] - w[0] / null
    rho = max(1.0, sum(users(drawn) ** 2) / sum(drawn**2))
    by_user = raised(even(users(weight)) - 1) * 64 / 63 * sum(users(residual) ** 2)
    by_session = rho * raised(even(weight) / rho - 1) * CELLS / (CELLS - 1) * sum(residual**2)
    clustered = min(by_user, by_session)
    mean = np.dot(added, weights) / np.dot(weights, weights)
    squares = float(np.dot(added, added) - mean * np.dot(added, weights))
    by_cell = 1 + extra / events if share > 0.4 else 1.0
    return clustered, max(1.0, clustered / independent, squares / independent, by_cell)


@pytest.mark.parametrize("canary", [0.5, 6.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_tally_is_what_its_definition_says(seed, canary):
    dice, blocks = np.random.default_rng(seed), []
    for _ in range(40):
        n = dice.poisson([[3.0], [canary]], (2, CELLS))
        blocks.append((n * dice.integers(0, 2, (2, 1)), np.minimum(dice.poisson(0.3, (2, CELLS)), n)))
    blocks = [(n, np.minimum(k, n)) for n, k in blocks]
    found = clusters.noise(stepped(blocks), RATE, ALPHA)
    clustered, phi = by_definition(blocks, 1.1)
    assert found.clustered[0] == pytest.approx(clustered, rel=1e-4)
    assert found.phi[0] == pytest.approx(phi, rel=1e-4)


def worlds(
    runs: int,
    blocks: int,
    *,
    sticky: bool,
    burst: int,
    ratio: float = 1.0,
    users: int = 200,
    uneven: float = 1.5,
    parts: int = 1,
    seed: int = 1,
):
    """Blocks of many runs at once: 90 and 10 calls, of which 2 % fail.

    sticky: each user is in one arm, and has a rate of its own. burst: errors that a session has at once.
    uneven: the deviation of the logarithm of how much users call. parts: the cells in which the sessions of a
    user are; 1: calls name no session.
    """
    dice = np.random.default_rng(seed)
    weight = np.exp(dice.normal(0, uneven, (runs, users)))
    weight /= weight.sum(axis=1, keepdims=True)
    level = dice.beta(0.98, 48.02, (runs, users)) if sticky else np.full((runs, users), 0.02)
    canary = dice.random((runs, users)) < 0.1 if sticky else np.full((runs, users), 0.1)
    cell = dice.integers(CELLS // PARTS, size=(runs, users)) * PARTS + CELLS * np.arange(runs)[:, None]
    calls, failing = (
        np.stack(
            [
                np.bincount(cell.ravel(), (weight * part * of).ravel(), runs * CELLS).reshape(runs, CELLS)
                for part in (1.0 - canary, 1.0 * canary)
            ]
        )
        for of in (1.0, level)
    )
    calls, failing = (_spread(each, parts) for each in (calls, failing))
    for _ in range(blocks):
        shared = dice.gamma(10, 0.1, (runs, 1)) * np.array([1.0, ratio])[:, None, None]
        k = burst * dice.poisson(100 / burst * failing * shared)
        yield dice.poisson(100 * (calls - failing)) + k, k


def _spread(cells: np.ndarray, parts: int) -> np.ndarray:
    """The same with the first cell of each user spread over its first cells."""
    found = cells.reshape(*cells.shape[:2], -1, PARTS).copy()
    found[..., :parts] = found[..., :1] / parts
    return found.reshape(cells.shape)


def alarms(tempered: bool, runs: int = 40, blocks: int = 600, null: float = 1.0, **world: float) -> float:
    """The share of runs that alarm, looked at after every block."""
    rows = Rows(np.full(runs, null), np.ones(runs))
    tally, logs, found = Tally.empty(runs), eprocess.fresh(runs), np.zeros(runs, bool)
    for n, k in worlds(runs, blocks, **world):
        tally = clusters.step(tally, rows, n, k)
        logs = eprocess.step(logs, n.sum(axis=2), k.sum(axis=2), null)
        phi = clusters.noise(tally, rows, ALPHA).phi if tempered else np.ones(runs)
        found |= eprocess.evidence(logs / phi[:, None]) >= -math.log(ALPHA)
    return float(found.mean())


@pytest.mark.parametrize(
    "world",
    [
        {"sticky": False, "burst": 20},
        {"sticky": True, "burst": 1},
        {"sticky": True, "burst": 1, "parts": PARTS},
        {"sticky": True, "burst": 1, "users": 40, "parts": PARTS},
        {"sticky": False, "burst": 20, "users": 40, "uneven": 2.0, "parts": PARTS},
    ],
)
def test_calls_that_go_together_are_no_evidence(world):
    assert alarms(False, **world) > 0.1, "else the next line would be about nothing"
    assert alarms(True, **world) <= 0.025


def test_what_is_worse_is_still_found():
    assert alarms(True, blocks=400, sticky=False, burst=1, ratio=2.0, null=1.1) >= 0.95
    assert alarms(True, blocks=800, sticky=True, users=2_000, burst=1, ratio=3.0, null=1.1) >= 0.8


def test_with_few_users_sessions_that_are_drawn_are_evidence():
    few = {"sticky": False, "burst": 10, "ratio": 3.0, "null": 1.1, "users": 40, "uneven": 2.0}
    assert alarms(True, **few, blocks=800) <= 0.6, "else the next line would be about nothing"
    assert alarms(True, **few, blocks=800, parts=PARTS) >= 0.85


@pytest.mark.parametrize("sticky", [True, False])
def test_it_is_known_whether_users_stay_in_one_arm(sticky):
    rows, tally = Rows(np.ones(20), np.ones(20)), Tally.empty(20)
    for n, k in worlds(20, 300, sticky=sticky, burst=1, parts=PARTS):
        tally = clusters.step(tally, rows, n, k)
    stay = clusters.noise(tally, rows, ALPHA).stay
    assert (stay > 0.8).all() if sticky else (stay < 0.3).all()


def test_cells_are_those_of_sketches():
    assert (CELLS, PARTS) == (cells.CELLS, cells.PARTS)


def test_independent_calls_lose_little():
    rows = Rows(np.full(40, 1.0), np.ones(40))
    tally = Tally.empty(40)
    for n, k in worlds(40, 600, sticky=False, burst=1):
        tally = clusters.step(tally, rows, n, k)
    phi = clusters.noise(tally, rows, ALPHA).phi
    assert np.median(phi) < 1.6
    assert phi.min() >= 1


def test_a_tally_that_grows_keeps_its_rows():
    dice = np.random.default_rng(1)
    n, k = (dice.poisson(3, (2, 2, CELLS)) for _ in range(2))
    two = Rows(np.ones(2), np.ones(2))
    three = Rows(np.ones(3), np.ones(3))
    tally = clusters.step(Tally.empty(2), two, n, k)
    before, after = (
        clusters.noise(each, rows, ALPHA) for each, rows in ((tally, two), (clusters.grown(tally, 3), three))
    )
    assert after.phi.tolist() == [*before.phi.tolist(), 1.0]
    assert after.clustered.tolist() == [*before.clustered.tolist(), 0.0]
