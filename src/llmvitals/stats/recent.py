"""The weights of calls: what fails together counts little after the first failure.

Where a session fails, its next calls fail too. They say hardly more than the first of them did, yet add to
the noise. So a cell (see `clusters`) is taken to fail u times as often as usual, u of a gamma distribution
with mean 1 and shape SHAPE. From its k events in the n calls of the last minutes, of both arms together, û =
(SHAPE + k) / (SHAPE + p·n), p being the usual rate. Its calls and events of the next minute have the weight
1/û, at most 1 and at least LEAST, in both arms alike: a user whose calls always fail is not forgotten. Older
calls are forgotten by a factor e in MEMORY minutes.

The weights depend on the past alone and are at most 1, as those of a weighted logrank test. So an e-process
of independent calls stays one if weighted calls take their place: xʷ − 1 ≤ w·(x − 1). (In a block of many
minutes that is nearly so, as the weights of later ones depend on its first.) What is compared is how often
calls fail in like situations: after calls that went well, and after calls that failed.

Source: Clayton, "A model for association in bivariate life tables", 1978, for the gamma; Fleming, Harrington,
"Counting processes and survival analysis", 1991, for weights that are known before; ter Schure, Pérez-Ortiz,
Ly, Grünwald, "The anytime-valid logrank test", 2024, for its e-process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from llmvitals.stats.clusters import CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SHAPE: Final = 0.25
"""After the first failure in few calls the next ones weigh a fifth."""
LEAST: Final = 0.1
MEMORY: Final = 10.0
_PRIOR: Final = (100.0, 2.0)
"""Calls and events before the first ones, for the usual rate."""


class Recent(NamedTuple):
    """What is remembered, as plain data. minute: of the last calls.

    cells: calls, then events of the last minutes (rows × cells, float32). totals: those of all time by row.
    """

    minute: int
    cells: bytes
    totals: bytes

    @classmethod
    def empty(cls, rows: int, cells: int = CELLS) -> Recent:
        """Before any call."""
        return cls(0, bytes(8 * rows * cells), np.repeat(np.array(_PRIOR), rows).tobytes())


def weights(recent: Sequence[int | bytes], minute: int) -> Floats:
    """The weights (rows × cells) of the calls of a minute, later than those that are remembered."""
    (calls, events), totals = _faded(Recent(*recent), minute)  # type: ignore[arg-type]  # plain data
    usual = totals[1] / totals[0]
    weight: Floats = np.clip((SHAPE + usual[:, None] * calls) / (SHAPE + events), LEAST, 1.0)
    return weight


def step(recent: Sequence[int | bytes], minute: int, n: Floats, k: Floats) -> Recent:
    """After the minute. n, k (rows × cells): its calls and events, those of both arms together."""
    cells, totals = _faded(Recent(*recent), minute)  # type: ignore[arg-type]  # plain data
    new = np.stack((n, k))
    return Recent(minute, (cells + new).astype(np.float32).tobytes(), (totals + new.sum(axis=2)).tobytes())


def _faded(recent: Recent, minute: int) -> tuple[Floats, Floats]:
    totals = np.frombuffer(recent.totals).reshape(2, -1)
    cells = np.frombuffer(recent.cells, np.float32).reshape(2, totals.shape[1], -1)
    faded: Floats = cells * np.exp(-(minute - recent.minute) / MEMORY)
    return faded, totals
