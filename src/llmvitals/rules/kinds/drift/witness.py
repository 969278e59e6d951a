"""Finds the calls that show a change: those closest to what is new, and to what is missing.

The score of a call is ⟨y of its vector, y of the mean now⟩, y whitened and seen from the reference: the
witness function of the kernel mean (Gretton and others, "A kernel two-sample test", JMLR 2012), whitened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.kinds.drift.calls import vectors
from llmvitals.sketch.random_features import NORM, UNIT, of_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmvitals.rules.kinds.drift.calls import SampledCall
    from llmvitals.stats.whitening import Whitening

NAMED: Final = 3
"""The number of calls to name, of new and of missing ones."""


def small(sample: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The sample, whose entries have x in the third place, with x as int8, its greatest number at 127."""
    if not sample:
        return []
    whole = np.frombuffer(b"".join(entry[2] for entry in sample), "<i2").reshape(len(sample), -1)
    sizes = 127 / np.maximum(np.abs(whole).max(axis=1), 1)
    rows, width = np.rint(whole * sizes[:, None]).astype("i1").tobytes(), whole.shape[1]
    return [
        (*entry[:2], rows[place * width : (place + 1) * width], *entry[3:])
        for place, entry in enumerate(sample)
    ]


def images(calls: Sequence[SampledCall], space: str) -> NDArray[np.float64]:
    """The unit vectors x of calls (n × d), or their z if a space is given. Raises ValueError for no space."""
    unit = vectors(calls).astype(np.float64)
    return of_key(space).features(np.rint(unit * NORM)) / UNIT if space else unit


def scores(
    images: NDArray[np.float64], whitening: Whitening, now: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score of each call, by the images (n × d); now: y of the present mean (d)."""
    scored: NDArray[np.float64] = whitening.white(images) @ now
    return scored


def first(calls: Sequence[SampledCall], scored: NDArray[np.float64], sign: int) -> list[str]:
    """The trace ids of the NAMED highest (sign 1) or lowest (-1) scores; each once."""
    order = np.argsort(-sign * scored, kind="stable")
    return list(dict.fromkeys(calls[place].trace for place in order if calls[place].trace))[:NAMED]
