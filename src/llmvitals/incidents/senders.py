"""All notifiers at once: none waits for another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmvitals.incidents.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmvitals.incidents.sender import Delivery, Look
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.meters import Meters
    from llmvitals.rate_limit import RateLimits
    from llmvitals.record.user_action import UserAction

GRACE: Final = 1.0
"""Seconds beyond `patience` that a tick waits for the slowest of several notifiers, which then goes on."""


class Senders:
    """A sender for each delivery. A round that takes long goes on beside the following ticks.

    names: of the notifiers.
    """

    def __init__(
        self, deliveries: Sequence[Delivery], limits: RateLimits, meters: Meters, look: Look
    ) -> None:
        self.names = [delivery.name for delivery in deliveries]
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"deliveries: one or more with different names are needed, not {self.names}")
        self._senders = [Sender(delivery, limits, meters, look) for delivery in deliveries]
        self._limits = limits
        self._rounds: dict[str, asyncio.Task[dict[str, int]]] = {}
        self._under_way: dict[str, set[str]] = {}
        self._waiting: dict[str, set[str]] = {}
        self._opened = self._listening = False

    def restart(self, store: IncidentStore) -> None:
        """Begin anew with what was restored."""
        for sender in self._senders:
            sender.restart(store)

    async def open(self) -> None:
        """Open the connections, once, and listen to what people do."""
        if not self._opened:
            self._opened = True
            for sender in self._senders:
                await sender.delivery.open()
        if not self._listening:
            self._listening = True
            for sender in self._senders:
                await sender.delivery.listen()

    async def rest(self) -> list[UserAction]:
        """Stop listening; return what people did until then."""
        if not self._listening:
            return []
        self._listening = False
        for sender in self._senders:
            await sender.delivery.rest()
        return list(self.actions())

    async def close(self) -> None:
        """Give the connections back."""
        await self.rest()
        for sender in self._senders:
            await sender.delivery.close()

    def actions(self) -> Iterator[UserAction]:
        """Return what people did since the last call."""
        for sender in self._senders:
            yield from sender.delivery.actions()

    def troubles(self) -> list[str]:
        """Return why some notifier can't deliver or listen."""
        return list(dict.fromkeys(why for sender in self._senders for why in sender.delivery.troubles()))

    def posts(self, incident: str) -> bool:
        """Whether some notifier would post the incident now, and none is at work on it."""
        busy = any(incident in names for names in self._under_way.values())
        return not busy and any(sender.posts(incident) for sender in self._senders)

    async def round(self, store: IncidentStore, due: Sequence[str]) -> dict[str, int]:
        """Send what is to be sent of these incidents; return for each when (µs) to look at it again."""
        for sender in self._senders:
            name = sender.delivery.name
            if name in self._rounds:
                self._waiting.setdefault(name, set()).update(due)
                continue
            self._under_way[name] = set(due)
            self._rounds[name] = asyncio.create_task(sender.round(store, due), name=f"notify {name}")
        # One alone holds up nobody, and each of its requests has its own time limit.
        patience = self._limits.patience + GRACE if len(self._senders) > 1 else None
        try:
            await asyncio.wait(self._rounds.values(), timeout=patience)
        except asyncio.CancelledError:
            await self.cancel()
            raise
        return self._ended()

    async def cancel(self) -> None:
        """End what is still under way; it may have been said without being marked, as after a crash."""
        rounds = list(self._rounds.values())
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)
        self._rounds.clear()
        self._under_way.clear()
        self._waiting.clear()

    def _ended(self) -> dict[str, int]:
        """Return, of the rounds that have ended, the earliest time for each incident."""
        times: dict[str, int] = {}
        for name, task in list(self._rounds.items()):
            if not task.done():
                continue
            del self._rounds[name]
            del self._under_way[name]
            ended = task.result() | dict.fromkeys(self._waiting.pop(name, ()), self._limits.clock())
            for incident, time in ended.items():
                times[incident] = min(time, times.get(incident, time))
        return times
