"""Keeps what goes wrong in an integration away from the application."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

log: Final = logging.getLogger("llmvitals.integrations")
_EVERY: Final = 60.0
"""Seconds between two warnings with the same words."""
_MOST: Final = 1_000
_warned: dict[str, float] = {}


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Warn of an exception in the body, by its class only, and do not raise it. what: could not be done."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
        warn(f"{what}: {type(error).__name__}. This is a bug in llmvitals: please report it.")


def warn(sentence: str) -> None:
    """Log a warning; the same one once a minute."""
    now = time.monotonic()
    if now - _warned.get(sentence, -_EVERY) < _EVERY:
        return
    if len(_warned) >= _MOST:
        _warned.clear()
    _warned[sentence] = now
    with suppress(Exception):  # a log handler of the application may fail
        log.warning("%s", sentence)
