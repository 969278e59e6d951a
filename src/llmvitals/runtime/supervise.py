"""Runs one process per stage; when one ends, all end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from llmvitals.runtime.kafka.watchdog import GRACE, SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.settings import Settings

log = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-m", "llmvitals", "worker", "--stage")


def supervise(
    stages: Sequence[str], settings: Settings, command: Sequence[str] = COMMAND, *, grace: float = GRACE
) -> int:
    """Run `command X` for each stage X until one ends or a signal comes; return the exit code.

    When one ends, the others are ended too, and its code is returned (128 + n when signal n killed it).
    SIGTERM and SIGINT are passed on: 0 when all end cleanly. grace: seconds that they may take; then they are
    killed (1). SIGHUP is passed on: they read the rules again. The children know this process's id and stop
    when it is gone (`watchdog.Guard`).
    """
    log.info("Starting %s on Kafka at %s", ", ".join(stages), settings.brokers)
    return asyncio.run(_supervise(stages, command, grace))


async def _supervise(stages: Sequence[str], command: Sequence[str], grace: float) -> int:
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    # A child without a handler would die of SIGHUP; children inherit that it is ignored.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    environment = {**os.environ, SUPERVISOR: str(os.getpid())}
    children = {
        stage: await asyncio.create_subprocess_exec(*command, stage, env=environment) for stage in stages
    }
    loop.add_signal_handler(signal.SIGHUP, _pass_on, children)
    ends = {stage: asyncio.ensure_future(child.wait()) for stage, child in children.items()}
    stop = asyncio.ensure_future(told.wait())
    await asyncio.wait([stop, *ends.values()], return_when=asyncio.FIRST_COMPLETED)
    first = next((stage for stage, end in ends.items() if end.done()), None)
    if first is not None and not told.is_set():
        log.warning("The %s worker has ended with code %d: ending the others", first, ends[first].result())
    stop.cancel()
    for stage, child in children.items():
        if not ends[stage].done():
            child.terminate()
    _, late = await asyncio.wait(ends.values(), timeout=grace)
    for stage, end in ends.items():
        if end in late:
            log.error("The %s worker did not end within %.0f s: killing it", stage, grace)
            children[stage].kill()
    await asyncio.wait(ends.values())
    if first is not None and not told.is_set():
        return _code(ends[first].result())
    # A child without a handler yet dies of SIGTERM; it had not begun.
    codes = [_code(end.result()) for end in ends.values() if end.result() != -signal.SIGTERM]
    return 1 if late else max(codes, default=0)


def _pass_on(children: Mapping[str, asyncio.subprocess.Process]) -> None:
    """Pass SIGHUP on to all children."""
    for child in children.values():
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGHUP)


def _code(status: int) -> int:
    """Return the exit code that a shell would give."""
    return 128 - status if status < 0 else status
