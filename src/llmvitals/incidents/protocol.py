"""What incidents ask of a delivery; notify's is one, and is handed in by whoever puts the sink together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.notification import Notification, Place
    from llmvitals.record.user_action import UserAction


class Delivery(Protocol):
    """Brings notifications to people by one notifier; retries and rate limits are its own affair.

    name: of the notifier, the same after every restart: what it has said is remembered under it.
    """

    @property
    def name(self) -> str: ...

    async def open(self) -> None:
        """Make the connection's things; called once, in the loop that is used."""

    async def close(self) -> None:
        """Give everything back."""

    async def check(self) -> None:
        """Ask whether the notifier is there and knows us. Raises SinkError (retry)."""

    async def deliver(self, notification: Notification) -> Place | None:
        """Say it; the message's place, or None: it is refused for good.

        Raises SinkError (retry, retry_after in seconds) when it can't be said now.
        """

    async def look(self, notification: Notification) -> Place | None:
        """Look for a message that was posted without our knowing. Raises as `deliver` does."""

    def doubts(self, incident: str) -> bool:
        """Whether something about an incident may have been said although no answer came."""

    def troubles(self) -> Sequence[str]:
        """Why it can't deliver or listen at present, and what to do."""

    async def listen(self) -> None:
        """Begin to hear what people do; again after `rest`."""

    async def rest(self) -> None:
        """Hear nothing more; what was heard can still be taken."""

    def actions(self) -> Sequence[UserAction]:
        """Return what people did since the last call, oldest first."""
