"""What an incident asks a notifier to say, where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmvitals.record.change import Reply
    from llmvitals.record.message_state import MessageState, Place


@dataclass(slots=True, kw_only=True)
class Notification:
    """What has to be said; a delivery ticks off what was said, so the same one may be delivered again.

    place: the message to edit, None to post one in `channel`. replies: for its thread, oldest first; a
    notifier without threads posts the state again if there are any. uncertain: any of it may have been said
    without our knowing, as after a restart. since: no message about it can be older (s since 1970). plain:
    without markup, because the notifier refused it. moved: only values have changed, so others go first.
    sent: the message says the state, the replies are left. thread: whether the replies are said; without it
    only those that somebody asked for. mention: whom a new message mentions, see Route.
    """

    state: MessageState
    channel: str
    place: Place | None = None
    replies: list[Reply] = field(default_factory=list)
    uncertain: bool = False
    since: float = 0.0
    plain: bool = False
    moved: bool = False
    sent: bool = False
    thread: bool = True
    mention: tuple[str, ...] = ()
