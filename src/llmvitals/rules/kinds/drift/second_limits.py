"""Learns the limits a second time, while the rule already watches.

The first limits rest on a few hours, and as much is added to them as so few leave in doubt. The second ones
rest on TIMES as many minutes. They never raise a limit, because a slow change would raise it, too.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.rules.kinds.drift import calibration
from llmvitals.rules.kinds.drift.calibration import Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMES: Final = 6
BLOCKS: Final = 48
_decoder: Final = msgspec.msgpack.Decoder(Calibration)


def add(state: dict[str, Any], roots: NDArray[np.float64], minutes: int, learned: int) -> None:
    """Add the roots of a step to those of a head, until there are enough.

    minutes: of the step. learned: minutes that the first limits rest on; 0 in old references, which stay as
    they are. State, {} at first: "minutes", and that of calibration.add_roots; then only "fitted": the second
    calibration, packed.
    """
    if "fitted" in state or not learned:
        return
    before, block = state.get("minutes", 0), max(learned * TIMES // BLOCKS, 1)
    state["minutes"] = before + minutes
    calibration.add_roots(state, roots)
    if state["minutes"] // block > before // block:
        calibration.close(state)
    if len(state.get("blocks", ())) == BLOCKS:
        sizes = state["minutes"] // BLOCKS, state["minutes"] / state["count"]
        made = calibration.fitted({"cap": math.inf, **state}, *sizes, borrow=calibration.BORROWED)
        state.clear()
        state["fitted"] = msgspec.msgpack.encode(made)


def limits(state: dict[str, Any], first: Calibration, run: float) -> NDArray[np.float64]:
    """The limit of each span in deviations of the first calibration; run: see Calibration.limits."""
    return _lowest(state["fitted"], first, run) if "fitted" in state else first.limits(run)


@lru_cache(maxsize=1_024)
def _lowest(fitted: bytes, first: Calibration, run: float) -> NDArray[np.float64]:
    """The limits of both calibrations; asked at every step, and the same each time."""
    found, second = first.limits(run), _decoder.decode(fitted)
    roots = np.array(second.means) + np.array(second.deviations) * second.limits(run)
    lower = (roots[: len(found)] - first.means) / first.deviations
    lowest: NDArray[np.float64] = np.maximum(np.minimum(found, lower), 1.0)
    lowest.flags.writeable = False
    return lowest
