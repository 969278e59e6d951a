"""Sets the sums of calls that may be billed and do not tell their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.plan import Unmetered
from llmvitals.record.call import Call
from llmvitals.sketch.counters import SUM

_SUMS: Final = [SUM[name] for name in ("estimated_calls", "estimated_low_nano", "estimated_high_nano")]


def set_unmetered(
    v: NDArray[np.int64], calls: Sequence[Call], unmetered: Callable[[Call], Unmetered | None]
) -> None:
    """Count the calls that may be billed, with their estimates. v: HEIGHT × n, all other sums of it are set.

    Nobody is billed for what a guardrail stopped.
    """
    costless = v[SUM["calls"]] > v[SUM["priced_calls"]] + v[SUM["stopped_calls"]]
    for place in np.flatnonzero(costless).tolist():
        if (estimate := unmetered(calls[place])) is not None:
            v[SUM["unmetered_calls"], place] = 1
            v[_SUMS, place] = estimate
