"""Divides evidence by what it has been while nothing changed, so that storms and noise are no news.

An e-value has a mean of at most 1 while nothing changes. A likelihood ratio has that only if its model is
true; divided by the mean of the ratios of past blocks, its own among them, it has it for all blocks that are
exchangeable: Vovk, Wang, "E-values: calibration, combination and applications", Annals of
Statistics 49, 2021 (the soft-rank e-value: Ren, Barber, "Derandomised knockoffs", JRSS B 86, 2024).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LAG: Final = 5
"""Days that have to pass before a day is learned: until then it may be the beginning of a change."""
PRIOR: Final = 10
"""Blocks and days without evidence that are added to the learned ones."""
KEPT: Final = 0.985
"""The weight of what was learned, a day later: a half after six weeks."""
MOST: Final = 5.0
"""The most that the log likelihood ratio of a block counts. The past is limited as the present is, or the
mean of the e-values would pass 1 where storms go beyond it."""
_CLEAR: Final = 2.5


def divided(state: dict[str, Any], logs: Floats) -> list[float]:
    """The log e-values of a block whose log likelihood ratios are `logs`; state: of `learn`, {} at first."""
    x = np.minimum(logs / state.get("phi", 1.0), MOST)
    learned = state.get("sum")
    total = np.array(learned) if learned else np.zeros(len(x))
    mean = (total + PRIOR + np.exp(x)) / (state.get("n", 0.0) + PRIOR + 1)
    found: list[float] = (x - np.log(np.maximum(mean, 1.0))).tolist()
    return found


def learn(state: dict[str, Any], logs: Floats, day: int, clear: int) -> None:
    """Learn a block in which nothing has changed.

    clear: the place of the alternative by whose evidence for a change days are told from chance. State: "n"
    and "sum", the learned blocks and their ratios; "days", [n, sum of the clear one, of its squares, of day
    sums, of their squares, days]; "phi", by how much the sums of days vary more than those of independent
    blocks; "wait": days that are not learned yet.
    """
    wait = state.setdefault("wait", [])
    if not wait or wait[-1][0] != day:
        wait.append([day, 0, [0.0] * len(logs), 0.0, 0.0])
        _fold(state)
    today = wait[-1]
    today[1] += 1
    ratios = np.exp(np.minimum(logs / state.get("phi", 1.0), MOST))
    today[2] = (np.array(today[2]) + ratios).tolist()
    plain = min(max(float(logs[clear]), 0.0), _CLEAR)
    today[3] += plain
    today[4] += plain * plain


def forget_since(state: dict[str, Any], day: int) -> None:
    """Do not learn the days from `day` on: they belong to a change."""
    state["wait"] = [one for one in state.get("wait", ()) if one[0] < day]


def blocks_a_day(state: dict[str, Any]) -> float:
    """The mean number of blocks of a learned day, at least 1; 0 before a day is learned."""
    days = state.get("days")
    return max(1.0, days[0] / days[5]) if days else 0.0


def _fold(state: dict[str, Any]) -> None:
    """Learn the days that are old enough; fewer days have to pass while fewer are known."""
    wait = state["wait"]
    while len(wait) - 1 > min(LAG, max(1, (state.get("known", 0) + len(wait) - 1) // 2)):
        _, n, sums, plain, squares = wait.pop(0)
        state["known"] = state.get("known", 0) + 1
        state["n"] = state.get("n", 0.0) * KEPT + n
        old = np.array(state["sum"]) if "sum" in state else 0.0
        state["sum"] = (old * KEPT + np.array(sums)).tolist()
        before = state.get("days") or [0.0] * 6
        new = (n, plain, squares, plain, plain * plain, 1)
        state["days"] = [old * KEPT + more for old, more in zip(before, new, strict=True)]
        state["phi"] = _phi(state["days"])


def _phi(days: Sequence[float]) -> float:
    n, total, squares, sums, sums_squared, count = days
    block = max(squares / n - (total / n) ** 2, 1e-6) if n else 1e-6
    day = max(sums_squared / count - (sums / count) ** 2, 0.0)
    times = day / max(block * n / count, 1e-6)
    return max(1.0, math.fsum((times * count, PRIOR)) / (count + PRIOR))
