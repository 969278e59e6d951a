"""Our drift detector, minute by minute, through what the merge stage calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.drift.spec import Drift
from llmvitals.sketch import counters
from llmvitals.sketch.moments import SAMPLE, Meaning, Moments, SampledVector
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.detection.pool import Pool
    from numpy.typing import NDArray

LEARN: Final = 2_880
"""Minutes: what `learn` is by default. A few more are heard, to be sure that it has learned."""
PANES: Final = 6
"""Of a minute: combine keeps SAMPLE whole vectors of each."""


class Drifts:
    """A rule's detector of one series, with one false alarm a month promised."""

    def __init__(self, pool: Pool, seed: int = 0, learn: int = LEARN) -> None:
        fields: dict[str, Any] = {"learn": f"{learn}m", "false_alarms": 1, "series": 1}
        rule = Drift(**fields)
        self._pool, self._dice = pool, np.random.default_rng(seed)
        self._detector = rule.detector(MINUTE, ())
        self._state: dict[str, Any] = {}

    def breach(self, at: int, rows: NDArray[np.int64]) -> bool:
        """Whether it alarms at minute `at`, which held these calls."""
        return self.take(at, self.vitals(rows))

    def take(self, at: int, vitals: Vitals) -> bool:
        """The same of a minute's vitals."""
        readings = self._detector.take(self._state, at, vitals)
        return any(reading.verdict == "breach" for reading in readings)

    @property
    def learning(self) -> bool:
        """Whether it has no reference yet."""
        return "reference" not in self._state

    def remembered(self) -> bytes:
        """Its state, as a checkpoint holds it."""
        return msgspec.msgpack.encode(self._state)

    def recall(self, memory: bytes) -> None:
        """Be as it was."""
        self._state = msgspec.msgpack.decode(memory)

    def vitals(self, rows: NDArray[np.int64]) -> Vitals:
        """What combine makes of a minute's calls."""
        sums = {"calls": len(rows), "embedded_calls": len(rows)}
        return Vitals(
            tuple(sums.get(name, 0) for name in counters.SUMS), meaning=meant(self._pool, rows, self._dice)
        )


def meant(pool: Pool, rows: NDArray[np.int64], dice: np.random.Generator, panes: int = PANES) -> Meaning:
    """The integer sums of these calls' vectors, and the SAMPLE vectors of least rank of each pane."""
    moments = Moments(
        len(rows),
        pool.x[rows].sum(axis=0, dtype="<i8").tobytes(),
        pool.z[rows].sum(axis=0, dtype="<i8").tobytes(),
        tuple(sorted(_sampled(pool, rows, dice, panes))),
    )
    return {f"wordllama/{pool.vectors.shape[1]}": moments}


def _sampled(
    pool: Pool, rows: NDArray[np.int64], dice: np.random.Generator, panes: int
) -> Iterator[SampledVector]:
    pane, ranks = dice.integers(panes, size=len(rows)), dice.integers(2**63, size=len(rows))
    for number in range(panes):
        inside = np.flatnonzero(pane == number)
        for n in inside[np.argsort(ranks[inside])[:SAMPLE]]:
            yield int(ranks[n]), f"trace-{rows[n]}", pool.x[rows[n]].astype("<i2").tobytes()
