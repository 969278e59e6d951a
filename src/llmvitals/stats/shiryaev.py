"""Shiryaev–Roberts e-detector: evidence of a change at an unknown time and of unknown size.

Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
The New England Journal of Statistics in Data Science, 2023. Beginning of the change: Page, "Continuous
inspection schemes", Biometrika 1954.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def step(state: dict[str, Any], evidence: Sequence[float]) -> None:
    """R ← (R + 1)·e for each alternative; evidence: its log e.

    State: "r", log R of each alternative (-inf is kept as the least float, which every format can hold), and
    "w", Page's statistic of the first alternative, 0 while nothing speaks for a change.
    Where every e has a mean of at most 1, the mean time until `level` first passes log A is at least A steps.
    """
    before = state.get("r") or [_NONE] * len(evidence)
    state["r"] = [max(_NONE, _plus_one(r) + e) for r, e in zip(before, evidence, strict=True)]
    state["w"] = max(0.0, state.get("w", 0.0) + evidence[0])


def level(state: dict[str, Any]) -> float:
    """Log of the mean of R over the alternatives.

    >>> round(math.exp(level({"r": [math.log(2), math.log(4)]})), 9)
    3.0
    """
    r: list[float] = state.get("r") or [_NONE]
    top = max(r)
    return top + math.log(sum(math.exp(value - top) for value in r) / len(r))


_NONE = -1e300


def _plus_one(r: float) -> float:
    """log(1 + exp r), without overflow."""
    return max(r, 0.0) + math.log1p(math.exp(-abs(r)))


def odds(bad: float, calls: int, usual: float, ratios: Sequence[float]) -> list[float]:
    """Log likelihood ratio of `bad` of `calls` for each ratio of odds against a share of `usual` (0 … 1).

    It is at most 1 in the mean for every lesser share where the ratios are above 1, and for every greater
    one where they are below.
    """
    logs = []
    for ratio in ratios:
        whole = 1 - usual + ratio * usual
        logs.append(bad * math.log(ratio / whole) - (calls - bad) * math.log(whole))
    return logs
