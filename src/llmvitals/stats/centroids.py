"""Centroids of a stream of unit vectors, in little memory.

k-means of MacQueen ("Some methods for classification and analysis of multivariate observations", 1967) on the
sphere: the first vectors are the first centroids; a later one is added to the sum of that of greatest cosine.
A sum is kept at most HEAVIEST long, so that float16 holds what is added to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.stats.axes import Floats

HEAVIEST: Final = 64.0


def gather(state: dict[str, Any], rows: NDArray[np.floating], most: int) -> None:
    """Add unit vectors (n × d). State, {} at first: "centroids": at most `most` sums, float16."""
    sums = np.frombuffer(state.get("centroids", b""), "<f2").astype(np.float32).reshape(-1, rows.shape[1])
    first = rows[: max(most - len(sums), 0)].astype(np.float32)
    sums, rows = np.concatenate([sums, first]), rows[len(first) :]
    if len(rows):
        np.add.at(sums, (rows @ units(sums).T).argmax(axis=1), rows)
    longest = np.linalg.norm(sums, axis=1, keepdims=True)
    state["centroids"] = (sums * np.minimum(HEAVIEST / np.maximum(longest, 1e-9), 1)).astype("<f2").tobytes()


def units(rows: NDArray[np.floating]) -> Floats:
    """Rows at length 1, float32; rows of length 0 stay as they are."""
    made: Floats = rows.astype(np.float32)
    made /= np.maximum(np.sqrt(np.add.reduce(made * made, axis=1, keepdims=True)), np.float32(1e-9))
    return made


def packed(rows: NDArray[np.floating]) -> bytes:
    """Rows (n × d) as int8, the greatest number of each at 127: their directions."""
    sizes = 127 / np.maximum(np.abs(rows).max(axis=1, initial=0), 1e-9)
    data: bytes = np.rint(rows * sizes[:, None]).astype("i1").tobytes()
    return data


def unpacked(data: bytes, width: int) -> Floats:
    """Undo `packed`, but for the lengths, which are 1."""
    return units(np.frombuffer(data, "i1").reshape(-1, width))
