"""A canary against its control, looked at every minute: e-process beside a z-test, log cost beside raw cost.

Two arms of CANARY and CONTROL calls a minute share a daily cycle of volume and of the error rate (BASE in
the mean), and an outage of OUTAGE minutes a run in which half of all calls fail. Everything asks one question
at α = 1 %: is the canary worse? The z-test is the usual one of two proportions, pooled, of all calls so far,
from the first look at which both arms have EXPECTED errors in expectation, as textbooks want it. Costs are
log-normal with a shared daily cycle; the same confidence sequence reads them as logarithms, or raw. A doubled
rate is looked for in steady traffic, and in traffic with the daily cycle and the outage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.stats import confseq, eprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CANARY: Final = 5
CONTROL: Final = 45
BASE: Final = 0.02
ALPHA: Final = 0.01
DAYS: Final = 3
DAY: Final = 1_440
OUTAGE: Final = 20
EXPECTED: Final = 5
SPREAD: Final = 1.5
"""Standard deviation of the logarithm of a call's cost; the mean is then three times the median."""
_Z: Final = 2.326
"""The normal quantile at 1 − ALPHA."""


def run(seed: int, runs: int, cost_runs: int) -> list[dict[str, Any]]:
    """All rows."""
    dice = np.random.default_rng(seed)
    nulls = _rates(dice, runs, 1.0)
    rows: list[dict[str, Any]] = [
        {"name": f"canary/null/{name}", "false_alarm_share": float(np.isfinite(first).mean()), "runs": runs}
        for name, first in zip(("llmvitals", "z-test"), nulls, strict=True)
    ]
    for name, steady in (("doubled", True), ("doubled-daily", False)):
        waits = np.minimum(_rates(dice, runs, 2.0, steady=steady)[0], DAYS * DAY)
        rows.append(
            {
                "name": f"canary/{name}/llmvitals",
                "delay_minutes": float(waits.mean()),
                "median_minutes": float(np.median(waits)),
                "found": float((waits < DAYS * DAY).mean()),
                "runs": runs,
            }
        )
    shares = _costs(dice, cost_runs)
    rows += [
        {"name": f"canary/cost/{name}", "false_alarm_share": share, "runs": cost_runs}
        for name, share in zip(("log", "raw"), shares, strict=True)
    ]
    return rows


def _rates(
    dice: np.random.Generator, runs: int, ratio: float, *, steady: bool = False
) -> tuple[Floats, Floats]:
    """Of each run the minute of the first alarm, ∞ for none: of the e-process, of the z-test."""
    state, bar = eprocess.fresh(runs), -np.log(ALPHA)
    ours, test = np.full(runs, np.inf), np.full(runs, np.inf)
    calls, errors = np.zeros((2, runs)), np.zeros((2, runs))
    phases = dice.uniform(0, 2 * np.pi, runs)
    outages = dice.integers(0, DAYS * DAY, runs)
    for minute in range(DAYS * DAY):
        swing = 0.0 * phases if steady else np.sin(2 * np.pi * minute / DAY + phases)
        out = (outages <= minute) & (minute < outages + OUTAGE) & (not steady)
        rate = np.where(out, 0.5, BASE * (1 + 0.5 * swing))
        n = np.stack([_counts(dice, mean * (1 + 0.5 * swing)) for mean in (CONTROL, CANARY)])
        k = dice.binomial(n, np.minimum(np.stack([rate, rate * np.where(out, 1, ratio)]), 1))
        state = eprocess.step(state, n, k)
        ours = np.where(np.isinf(ours) & (eprocess.evidence(state) >= bar), minute + 1, ours)
        calls, errors = calls + n, errors + k
        test = np.where(np.isinf(test) & (_z(calls, errors) > _Z), minute + 1, test)
    return ours, test


def _counts(dice: np.random.Generator, means: Floats) -> NDArray[np.int64]:
    """Calls of a minute, negative binomial."""
    return dice.poisson(dice.gamma(8.0, means / 8.0))


def _z(calls: Floats, errors: Floats) -> Floats:
    pooled = errors.sum(axis=0) / np.maximum(calls.sum(axis=0), 1)
    enough = (calls * pooled).min(axis=0) >= EXPECTED
    n = np.maximum(calls, 1)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n).sum(axis=0))
    return np.where(enough, (errors[1] / n[1] - errors[0] / n[0]) / spread, 0.0)


def _costs(dice: np.random.Generator, runs: int) -> tuple[float, float]:
    """Share of runs of a day in which equal arms are called different: by log cost, by raw cost."""
    alarms = np.zeros((2, runs), np.bool_)
    for number in range(runs):
        phase = dice.uniform(0, 2 * np.pi)
        states = [confseq.State(), confseq.State()]
        for minute in range(DAY):
            swing = np.sin(2 * np.pi * minute / DAY + phase)
            counts = [int(_counts(dice, np.array(mean * (1 + 0.5 * swing)))) for mean in (CONTROL, CANARY)]
            logs = [dice.normal(0.5 * swing, SPREAD, count) for count in counts]
            for place, arms in enumerate((logs, [np.exp(each) for each in logs])):
                states[place] = confseq.step(states[place], _moments(arms[0]), _moments(arms[1]))
                alarms[place, number] |= _different(states[place])
    return float(alarms[0].mean()), float(alarms[1].mean())


def _different(state: confseq.State) -> bool:
    """Whether the arms differ, in either direction: half of α for each."""
    turned = state._replace(wd=-state.wd, wwd=-state.wwd)
    return max(confseq.evidence(each, 0.0, ALPHA / 2) for each in (state, turned)) >= -np.log(ALPHA / 2)


def _moments(values: Floats) -> confseq.ArmSums:
    return float(len(values)), float(values.sum()), float((values**2).sum())
