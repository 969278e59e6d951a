"""Hotelling's T² of whitened means, with memories of several lengths.

A memory of span w keeps S = Σ aᵢnᵢyᵢ, A = Σ aᵢnᵢ and B = Σ aᵢ²nᵢ over minutes, where a falls by 2/(w+1) of
itself each minute: as sharp as a window of w minutes, and all it takes is one vector (multivariate EWMA:
Lowry, Woodall, Champ, Rigdon, Technometrics 1992). T² = |S/A|² / (B/A² + 1/N), N the calls of the reference
(Hotelling, "The generalization of Student's ratio", 1931; with a ridge: Chen, Paul, Prentice, Wang, JASA
2011). Read is its cube root, which is nearly normal (Wilson, Hilferty, PNAS 1931).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.stats.axes import Floats

SPANS: Final = (2, 4, 8, 16, 32, 64, 128)
"""Minutes. A span of 1 is left out, because a single minute may be one user's burst."""
_KEEP: Final = np.array([1 - 2 / (span + 1) for span in SPANS])
_KEEP_SQUARES: Final = _KEEP**2
_KEEP_SUMS: Final = _KEEP[:, None].astype(np.float32)
_NOTHING: Final = np.float64(0)

Memory = dict[str, NDArray[Any]]
"""Arrays, {} at first: "sums": S for each of SPANS (float32); "calls": A; "squares": B; "unsure": D."""


def opened(plain: dict[str, Any]) -> Memory:
    """The memory in plain data."""
    if not plain:
        return {}
    sums = np.frombuffer(plain["sums"], "<f4").reshape(len(SPANS), -1)
    return {"sums": sums, **{name: np.array(value) for name, value in plain.items() if name != "sums"}}


def packed(memory: Memory) -> dict[str, Any]:
    """Plain data: what `opened` reads."""
    return {
        name: value.astype("<f4").tobytes() if name == "sums" else value.tolist()
        for name, value in memory.items()
    }


def radius(calls: float, white: Floats) -> float:
    """The cube root of a single minute's T², against an exact reference."""
    return float(np.cbrt(calls * float(white @ white)))


def remember(memory: Memory, calls: float, white: Floats, cap: float, *, unsure: float = 0.0) -> None:
    """Add a minute. A radius above the cap is reduced to it, so that a single minute raises no alarm.

    unsure: what the mean that it is compared with adds to 1/N, if it is known from fewer calls. D = Σ aᵢnᵢ
    times it, so A·D is added to B: an upper bound, as minutes may have different means.
    """
    size = radius(calls, white)
    drawn = min(1.0, (cap / size) ** 1.5) if size else 1.0
    sums = memory.get("sums", np.float32(0))
    memory["sums"] = sums * _KEEP_SUMS + white * np.float32(calls * drawn)
    memory["calls"] = memory.get("calls", _NOTHING) * _KEEP + calls
    memory["squares"] = memory.get("squares", _NOTHING) * _KEEP_SQUARES + calls
    if unsure or "unsure" in memory:
        memory["unsure"] = memory.get("unsure", _NOTHING) * _KEEP + calls * unsure


def roots(memory: Memory, reference: int) -> NDArray[np.float64]:
    """The cube root of T² for each of SPANS, after at least a minute; 0 without calls. reference: N."""
    sums, calls = memory["sums"], memory["calls"]
    squares = memory["squares"] + calls**2 / reference + calls * memory.get("unsure", 0.0)
    values: NDArray[np.float64] = np.cbrt(np.einsum("ij,ij->i", sums, sums) / np.maximum(squares, 1e-9))
    return values


def joint(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cube root of T² of two whitened means as one vector, by their roots."""
    values: NDArray[np.float64] = np.cbrt(first**3 + second**3)
    return values


def mean(memory: Memory, place: int) -> NDArray[np.float64]:
    """The mean of y as the memory of SPANS[place] has it."""
    value: NDArray[np.float64] = memory["sums"][place].astype(np.float64) / max(
        float(memory["calls"][place]), 1e-9
    )
    return value
