"""Where every command begins: a worker that is told to stop while it still starts ends with 0, too.

Nothing heavy is imported here before that is so. What comes earlier, Python's own start, is out of our hands:
a SIGTERM in those hundredths of a second ends the process as the kernel does (143 to a shell).
"""

from __future__ import annotations

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
    from llmvitals.cli import main as commands  # noqa: PLC0415 - it takes a second, in which SIGTERM counts

    try:
        commands()
    finally:
        if worker:  # a second SIGTERM must not change how it ends
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing was begun, so there is nothing to be tidied up.

    An exception would do it also, but an import or a library could swallow it.
    """
    del number, frame
    os._exit(0)
