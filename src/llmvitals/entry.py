"""Where every command begins. A worker that gets SIGTERM while it starts ends with 0.

So the signal is handled before anything large is imported. A SIGTERM before that, while Python itself starts,
ends the process with 143.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """The console script and `python -m llmvitals`."""
    worker = "worker" in sys.argv[1:]
    if worker:
        signal.signal(signal.SIGTERM, _end)
    # Imports and batches make many young objects without cycles: looking for cycles every 700 allocations,
    # which is Python's default, costs a tenth of the time.
    gc.set_threshold(100_000, 20, 20)
    try:
        from llmvitals.cli import main as commands  # noqa: PLC0415 - it takes a second, in which SIGTERM counts
    except ModuleNotFoundError as error:
        if error.name != "llmvitals.cli":
            raise
        sys.exit("llmvitals-client has no commands, it only sends calls: pip install llmvitals")
    try:
        commands()
    finally:
        if worker:  # a second SIGTERM must not change the exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    """End at once; nothing was started that has to be stopped.

    An exception could be swallowed by an import or a library.
    """
    del number, frame
    os._exit(0)
