"""The rules, read again while a worker runs: on SIGHUP, and when their folder has changed."""

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
"""Seconds between two looks at the folder."""


class Reload(Generic[T]):
    """reread: is called in a thread, and gives what the rules are good for; its ConfigErrors refuse them.

    What is refused is told once, and what held before holds on. `asked` (SIGHUP) reads them even where
    nothing seems to have changed.
    """

    def __init__(self, folder: Path, reread: Callable[[], T], meters: Meters, look: float = LOOK) -> None:
        self._name, self._folder, self._reread, self._meters = folder, Folder(folder), reread, meters
        self._asked, self._look = asyncio.Event(), look
        meters.gauge("rules_ok", 1)

    def ask(self) -> None:
        """Read them at once."""
        self._asked.set()

    async def next(self) -> T:
        """Wait until the rules are others; gives what was read of them."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._look)
            asked = self._asked.is_set()
            self._asked.clear()  # before the look: who asks during it is not to be forgotten
            if await asyncio.to_thread(self._folder.changed) or asked:
                try:
                    return await asyncio.to_thread(self._read)
                except ConfigError as error:
                    told = f"the rules are refused, and those before hold on: {error}"
                    log.error(told)  # noqa: TRY400 - its own words say it all
                    self._meters.gauge("rules_ok", 0)
                    self._meters.note("rules", told)

    def holds(self) -> None:
        """What was read is in force."""
        log.info("the rules in %s hold now, in place of those before", self._name)
        self._meters.gauge("rules_ok", 1)
        self._meters.note("rules", None)

    def _read(self) -> T:
        if not self._folder.there:
            raise ConfigError(f"the folder {self._name} is gone: put it back")
        return self._reread()
