"""What a way to notify people has to be able to do, and what its answers call for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from llmvitals.record.notification import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.notification import MessageState, Reply
    from llmvitals.record.user_action import UserAction


NOWHERE: Final = Place()


class Do(StrEnum):
    """What an answer calls for."""

    DONE = "done"
    WAIT = "wait"
    """Nothing was posted: wait, then the same again."""
    ASK = "ask"
    """It may have been posted: ask a harmless question first, look for the message where that is possible."""
    SIMPLIFY = "simplify"
    """The content is refused: once more as plain text, then give up."""
    REPOST = "repost"
    """The message that was to be edited or replied to is gone: post it again."""
    MOVE = "move"
    """The channel can't be posted to: try the default one, then give up."""
    FIX = "fix"
    """Our settings are wrong: keep the alert, try slowly, say what to fix."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    code: a short word for logs and counters, never a text that could hold a secret. advice: the code, and
    what a person can do about it. after: seconds that we are asked to wait. place: the message's, empty
    where there is none.
    """

    do: Do = Do.DONE
    code: str = "ok"
    advice: str = ""
    after: float | None = None
    place: Place = NOWHERE


class Notifier(ABC):
    """A way to people. Each method asks once and returns the answer; none raises and none retries.

    A notifier that can only post needs `name` and `post`; the other methods have defaults.

    name: short and fixed, such as "slack": what it has said is remembered under it. title: as people write
    it. threads: whether a message can be edited and replied to; where it can't, only `post` is called, again
    at each change that people should hear of.
    """

    name: str
    title: str = ""
    threads: bool = False

    async def open(self) -> None:
        """Make the connection's things; called once, in the loop that is used."""
        return

    async def close(self) -> None:
        """Give everything back."""
        return

    async def check(self) -> Answer:
        """Ask something harmless: whether the service is there and knows us."""
        return Answer()

    @abstractmethod
    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        """Post an incident's message; the answer holds its place. channel: "" where nobody names one."""

    async def edit(self, place: Place, state: MessageState, *, plain: bool) -> Answer:
        """Make the message say the present state."""
        del place, state, plain
        return Answer(Do.REPOST, "cannot_edit")

    async def reply(self, place: Place, reply: Reply) -> Answer:
        """Say in the message's thread what has changed."""
        del place, reply
        return Answer(Do.REPOST, "cannot_reply")

    async def find(self, channel: str, incident: str, since: float) -> Answer:
        """Look for an incident's message posted after `since` (s); DONE without a place where there is none.

        A notifier that can't look asks something harmless, so that DONE says that the service is back.
        """
        del channel, incident, since
        return await self.check()

    async def heard(self, place: Place, reply: Reply) -> Answer:
        """Look for a reply in a message's thread, as `find` does for messages."""
        del place, reply
        return await self.check()

    async def listen(self) -> None:
        """Begin to hear what people do, such as press buttons; trouble is its own to overcome."""
        return

    async def rest(self) -> None:
        """Hear nothing more; what was heard can still be taken."""
        return

    def actions(self) -> Sequence[UserAction]:
        """Return what people did since the last call, oldest first."""
        return ()

    def trouble(self) -> str | None:
        """Return why people aren't heard at present, and what to do; None when all is well."""
        return None
