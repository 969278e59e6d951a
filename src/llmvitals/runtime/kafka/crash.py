"""Named points at which a test can kill the worker, as a power cut would."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

POINTS: Final = (
    "after-apply", "after-send", "after-delivery", "before-checkpoint", "after-checkpoint",
    "before-commit", "after-commit",
)  # fmt: skip
"""In the order in which a record passes them. Sinks have `after-tick`: notifications are sent, and the
records that note this are not."""

_POINT, _, _TIMES = os.environ.get("LLMVITALS_CRASH_AT", "").partition(":")
_passed: Final = Counter[str]()


def passing(point: str) -> None:
    """Kill this process (SIGKILL) at the n-th passing that `LLMVITALS_CRASH_AT=point:n` names."""
    if point == _POINT:
        _passed[point] += 1
        if _passed[point] == int(_TIMES or 1):
            os.kill(os.getpid(), signal.SIGKILL)
