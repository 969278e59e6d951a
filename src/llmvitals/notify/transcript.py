"""Writes down what people would be told, for a replay that tells nobody."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from llmvitals.notify.protocol import Answer, Notifier
from llmvitals.notify.slack.thread import drawn
from llmvitals.notify.terminal import text
from llmvitals.record.notification import Place

if TYPE_CHECKING:
    from llmvitals.record.notification import MessageState, Reply

_MARKUP: Final = re.compile(r"<(?:!date\^[^|>]*|[^|>]*)\|([^>]*)>|`")
"""A time or a link of Slack's, of which the text is kept, or the mark of code."""


@dataclass(frozen=True, slots=True)
class Told:
    """What people read. at: when (µs). what: a message, or a reply in the thread of one."""

    at: int
    incident: str
    channel: str
    what: Literal["message", "reply"]
    text: str


@dataclass
class Transcript(Notifier):
    """Edits notify nobody, and are not written down.

    now: µs. told: in the order of time.
    """

    now: int = 0
    told: list[Told] = field(default_factory=list)

    name = "transcript"
    title = "the transcript"
    threads = True

    async def post(self, channel: str, state: MessageState, *, plain: bool) -> Answer:
        """Write a message down."""
        del plain
        self.told.append(Told(self.now, state.incident, channel, "message", text(state, channel)))
        return Answer(place=Place(channel, state.incident))

    async def edit(self, place: Place, state: MessageState, *, plain: bool) -> Answer:
        """Write nothing down."""
        del state, plain
        return Answer(place=place)

    async def reply(self, place: Place, reply: Reply) -> Answer:
        """Write a reply down."""
        said = html.unescape(_MARKUP.sub(lambda found: found[1] or "", drawn(reply)))
        self.told.append(Told(self.now, place.ts, place.channel, "reply", said))
        return Answer(place=place)
