"""Named points at which a test can have the worker killed, as by a power cut."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

POINTS: Final = (
    "after-apply", "after-send", "after-delivery", "before-checkpoint", "after-checkpoint",
    "before-commit", "after-commit",
)  # fmt: skip
"""In the order in which a record passes them. A sink's tick has one of its own, `after-tick`: what was due is
told, and the marks of it are not sent yet."""

_POINT, _, _TIMES = os.environ.get("LLMVITALS_CRASH_AT", "").partition(":")
_passed: Final = Counter[str]()


def passing(point: str) -> None:
    """Kill this process (SIGKILL) at the n-th passing that `LLMVITALS_CRASH_AT=point:n` names."""
    if point == _POINT:
        _passed[point] += 1
        if _passed[point] == int(_TIMES or 1):
            os.kill(os.getpid(), signal.SIGKILL)
