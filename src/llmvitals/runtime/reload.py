"""Reads the rules again while a worker runs: on SIGHUP, and when their folder has changed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from llmvitals.errors import ConfigError
from llmvitals.rules.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmvitals.meters import Meters

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK: Final = 2.0
"""Seconds between two checks of the folder."""


class Reload(Generic[T]):
    """Waits for changes of the rules.

    reread: called in a thread; returns what is made of the rules, or raises ConfigError. Rules that it
    refuses are logged once, and those before stay in force. `ask` (SIGHUP) reads the rules even where nothing
    seems to have changed.
    """

    def __init__(self, folder: Path, reread: Callable[[], T], meters: Meters, look: float = LOOK) -> None:
        self._name, self._folder, self._reread, self._meters = folder, Folder(folder), reread, meters
        self._asked, self._look = asyncio.Event(), look
        meters.gauge("rules_ok", 1)

    def ask(self) -> None:
        """Read them at once."""
        self._asked.set()

    async def next(self) -> T:
        """Wait until the rules have changed; return what was made of them."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._look)
            asked = self._asked.is_set()
            self._asked.clear()  # before the check, so that a signal during it is not lost
            if await asyncio.to_thread(self._folder.changed) or asked:
                try:
                    return await asyncio.to_thread(self._read)
                except ConfigError as error:
                    refusal = f"the rules are refused, and those before hold on: {error}"
                    log.error(refusal)  # noqa: TRY400 - the message says it all
                    self._meters.gauge("rules_ok", 0)
                    self._meters.note("rules", refusal)

    def holds(self) -> None:
        """Report that the new rules are in force."""
        log.info("the rules in %s hold now, in place of those before", self._name)
        self._meters.gauge("rules_ok", 1)
        self._meters.note("rules", None)

    def _read(self) -> T:
        if not self._folder.there:
            raise ConfigError(f"the folder {self._name} is gone: put it back")
        return self._reread()
