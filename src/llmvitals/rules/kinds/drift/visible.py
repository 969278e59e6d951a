"""What a drift rule can see at a series' traffic: the smallest share of a new topic that it finds in time.

T² of n calls grows with n times the square of the share, so the share that is found goes with 1/√n. NEEDED is
what benchmarks/detection/traffics.py measures: 1.7 to 2.7 at 50, 2 and 0.35 calls a minute and shares of 5 to
20 %. A limit for more series, or for fewer false alarms, needs as much more as it is higher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.condition.false_alarms import run_length
from llmvitals.rules.kinds.drift.heads import UNUSUAL
from llmvitals.stats.hotelling import SPANS
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from llmvitals.rules.kinds.drift.reference import Reference
    from llmvitals.stats.hotelling import Memory

WITHIN: Final = 6 * HOUR // MINUTE
"""Minutes in which it has to be found."""
NEEDED: Final = 2.2
"""Share · √(distinct calls) at which a new topic is found, with a limit of one false alarm a month."""
_PACED: Final = 4
"""The place of the span that tells how many calls come in a step."""


def share(state: dict[str, Any], reference: Reference, run: float) -> float | None:
    """The smallest share, 0 … 1; None if `unusual` does not look. run: see heads.read."""
    memory = state["memories"][UNUSUAL]
    if reference.unusual is None or not memory:
        return None
    calibration = reference.unusual.calibration
    spans = np.array(SPANS)[np.array(SPANS) * calibration.step <= WITHIN]
    if not len(spans):
        return 1.0
    one = run_length(1, 1, MINUTE)
    higher = (calibration.limits(run) / calibration.limits(one))[: len(spans)]
    shares = NEEDED * higher / np.sqrt(np.maximum(_pace(memory) * spans, 1e-9))
    return float(min(shares.min(), 1.0))


def _pace(memory: Memory) -> float:
    """The distinct calls of a step.

    With c in each of m steps, A = c(1 - kᵐ)/(1 - k) and B = c(1 - k²ᵐ)/(1 - k²), so kᵐ = (1 + k)B/A - 1.
    """
    calls, squares, keep = memory["calls"][_PACED], memory["squares"][_PACED], 1 - 2 / (SPANS[_PACED] + 1)
    left = (1 + keep) * squares / max(calls, 1e-9) - 1
    return float(calls * (1 - keep) / max(1 - left, 1e-9))
