"""What the ways have in common that can only post: webhook and terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.notify.slack.answer import Answer

if TYPE_CHECKING:
    from llmvitals.record.message_state import MessageState, Place


class Threadless:
    """The part of a `Backend` that edits, replies and looks back, for one that can't."""

    threads = False

    async def check(self) -> Answer:
        """Ask something harmless."""
        return Answer()

    async def edit(self, place: Place, card: MessageState, *, plain: bool) -> Answer:
        del place, card, plain
        return Answer("cant_update_message")

    async def reply(self, place: Place, text: str) -> Answer:
        del place, text
        return Answer("thread_not_found")

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        del channel, incident, since
        return await self.check()

    async def heard(self, place: Place, text: str) -> Answer:
        del place, text
        return await self.check()
