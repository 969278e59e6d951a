"""What SQLite's errors mean for whoever runs llmvitals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.errors import SinkError

if TYPE_CHECKING:
    from pathlib import Path

BUSY: Final = 10.0
"""Seconds to wait for another process that is writing."""


def failure(error: Exception, path: Path) -> SinkError:
    """An error that says what to fix. Each cause may pass, so all of them are retried."""
    message = str(error)
    if "full" in message or getattr(error, "errno", None) == 28:
        why = "the disk is full: free some space, or set LLMVITALS_SQLITE to a file on another disk"
    elif "readonly" in message or "read-only" in message:
        why = "it can't be written: make the file and its folder writable for this user"
    elif "unable to open" in message:
        why = "it can't be opened: create its folder, and make it writable for this user"
    elif "locked" in message:
        why = f"another process has kept it locked for {BUSY:.0f} s: end that one"
    elif "not a database" in message or "malformed" in message:
        why = f"it is no sound SQLite file ({message}): move it away, or name another one"
    else:
        why = message
    return SinkError(f"SQLite file {path}: {why}", retry=True)
