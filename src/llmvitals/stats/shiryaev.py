"""Shiryaev–Roberts e-detector: evidence of a change at an unknown time and of unknown size.

Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
The New England Journal of Statistics in Data Science, 2023.
"""

from __future__ import annotations

import math
from math import exp, log1p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def step(state: dict[str, Any], evidence: Sequence[float]) -> None:
    """R ← (R + 1)·e for each alternative; evidence: its log e.

    State: "r", log R of each alternative (-inf is kept as the least float, which every format can hold).
    Where every e has a mean of at most 1, the mean time until `level` first passes log A is at least A steps.
    """
    before = state.get("r") or [_NONE] * len(evidence)
    state["r"] = [max(_NONE, plus + e) for plus, e in zip(_plus_one(before), evidence, strict=True)]


def highest(state: dict[str, Any], most: float) -> float:
    """The highest that `level` can be after a step in which no log e is above `most`."""
    return _plus_one([max(state.get("r") or [_NONE])])[0] + most + _ROUNDING


def level(state: dict[str, Any]) -> float:
    """Log of the mean of R over the alternatives.

    >>> round(math.exp(level({"r": [math.log(2), math.log(4)]})), 9)
    3.0
    """
    r: list[float] = state.get("r") or [_NONE]
    top = max(r)
    return top + math.log(sum(math.exp(value - top) for value in r) / len(r))


_NONE = -1e300
_ROUNDING = 1e-9


def _plus_one(r: Sequence[float]) -> list[float]:
    """log(1 + exp r) of each, without overflow."""
    return [max(one, 0.0) + log1p(exp(-abs(one))) for one in r]
