"""Computes the main axes of the scatter of a stream of rows, in little memory.

Rows are collected. When there are BUFFER of them, they and the known axes are replaced by the greatest axes
of both (Levy, Lindenbaum, "Sequential Karhunen-Loeve basis extraction and its application to images",
IEEE Trans. Image Processing 2000). The scatter along the dropped axes is kept as one number.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT: Final = 32
BUFFER: Final = 32

Floats = NDArray[np.float32]


class Axes(NamedTuple):
    """directions (k × d): unit vectors.

    Variances (k): along them. rest: the mean variance along all others.
    """

    directions: NDArray[np.float64]
    variances: NDArray[np.float64]
    rest: float


def gather(state: dict[str, Any], row: NDArray[np.floating], kept: int = KEPT) -> None:
    """Add a row (d, around 1 in size).

    State, {} at first: "rows": float16 bytes, at most kept + BUFFER; "count"; "scatter": Σ|row|².
    """
    rows = state.setdefault("rows", [])
    rows.append(row.astype("<f2").tobytes())
    state["count"] = state.get("count", 0) + 1
    state["scatter"] = state.get("scatter", 0.0) + float(row @ row)
    if len(rows) >= kept + BUFFER:
        directions, sizes = _greatest(rows, kept)
        state["rows"] = [axis.astype("<f2").tobytes() for axis in directions * sizes[:, None]]


def found(state: dict[str, Any], kept: int = KEPT) -> Axes:
    """The `kept` greatest axes of the gathered rows, at least one row."""
    directions, sizes = _greatest(state["rows"], kept)
    variances, count = sizes**2 / state["count"], directions.shape[1] - len(directions)
    left = state["scatter"] / state["count"] - variances.sum()
    return Axes(directions, variances, max(float(left), 0.0) / max(count, 1))


def _greatest(rows: list[bytes], kept: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions and lengths of the greatest axes, without axes of length 0."""
    stacked = np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), -1).astype(np.float64)
    few = len(rows) < stacked.shape[1]
    values, mixes = np.linalg.eigh(stacked @ stacked.T if few else stacked.T @ stacked)
    values, mixes = values[::-1][:kept], mixes[:, ::-1][:, :kept]
    real = values > max(values[0], 1e-12) * 1e-9
    sizes, mixes = np.sqrt(values[real]), mixes[:, real].T
    return (mixes @ stacked) / sizes[:, None] if few else mixes, sizes
