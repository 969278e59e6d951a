"""What people do: acts that come in by the topic of silences, and those that buttons send out to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from llmvitals.incidents.points import point
from llmvitals.wording import clean
from llmvitals.record.log import Message, Topic
from llmvitals.record.user_action import Acknowledgement, Question, Silence, UserAction, decode, encode
from llmvitals.window import DAY, SECOND

if TYPE_CHECKING:
    from llmvitals.incidents.mutes import Mutes
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.log import Record

log: Final = structlog.get_logger(__name__)

KEPT: Final = 5 * DAY
"""So long an ended silence is remembered, as in Alertmanager."""
_SKEW: Final = 5 * SECOND


class Buttons(Protocol):
    """Where people press. It is open only where the alerts are."""

    async def start(self) -> None:
        """Begin to listen; trouble is its own to overcome."""

    async def stop(self) -> None:
        """Listen no more."""

    def drain(self) -> list[UserAction]:
        """What was pressed since the last call."""

    def health(self) -> str | None:
        """Why nobody is heard at present, and what to do; None when all is well."""


class Acts:
    """buttons: None where there are none."""

    def __init__(self, buttons: Buttons | None) -> None:
        self._buttons, self._open = buttons, False
        self._known: dict[bytes, UserAction] = {}

    async def start(self) -> None:
        """Listen to the buttons."""
        self._known.clear()
        if self._buttons is not None and not self._open:
            self._open = True
            await self._buttons.start()

    def trouble(self) -> str | None:
        """Why buttons are not heard."""
        return None if self._buttons is None else self._buttons.health()

    async def rest(self) -> list[Message]:
        """Listen no more; gives what was pressed until then."""
        if self._buttons is None or not self._open:
            return []
        self._open = False
        await self._buttons.stop()
        return [_message(act) for act in self._buttons.drain()]

    def drained(self) -> list[Message]:
        """What was pressed since the last call."""
        return [] if self._buttons is None else [_message(act) for act in self._buttons.drain()]

    def hear(self, record: Record, book: IncidentStore, mutes: Mutes, now: int) -> tuple[str, list[Message]]:
        """The incident that has changed by an act ("" for none), and points."""
        if record.value is None:
            gone = self._known.pop(record.key or b"", None)
            if isinstance(gone, Silence):
                mutes.forget(gone.id)
            return "", []
        try:
            act = decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = clean(str(error), 200)
            log.warning("a record on the silences topic is no act", offset=record.offset, reason=reason)
            return "", []
        self._known[act.key] = act
        if isinstance(act, Silence):
            mutes.hear(act)
            return "", []
        return self._answer(act, book, now)

    def swept(self, book: IncidentStore, mutes: Mutes, now: int) -> list[Message]:
        """Let go of what is over: silences KEPT after their end, other acts with their incident."""
        gone = [key for key, act in self._known.items() if _past(act, book, now)]
        for key in gone:
            act = self._known.pop(key)
            if isinstance(act, Silence):
                mutes.forget(act.id)
        return [Message(Topic.SILENCES, key, None) for key in gone]

    def _answer(
        self, act: Acknowledgement | Question, book: IncidentStore, now: int
    ) -> tuple[str, list[Message]]:
        incident = book.incidents.get(act.incident)
        if incident is None or (isinstance(act, Question) and incident.asked):
            return "", []
        if isinstance(act, Question):
            book.put(replace(incident, asked=True))
            return incident.id, []
        stale = act.at < incident.born - _SKEW
        if incident.until is not None or incident.acknowledged is not None or stale:
            return "", []
        at = min(act.at, now)
        book.put(replace(incident, acknowledged=(act.by, at)))
        fires = [case.alert for case in book.members(incident.id) if case.firing]
        return incident.id, [point(alert, "acknowledged", at=max(at, alert.at), by=act.by) for alert in fires]


def _message(act: UserAction) -> Message:
    return Message(Topic.SILENCES, act.key, encode(act))


def _past(act: UserAction, book: IncidentStore, now: int) -> bool:
    if isinstance(act, Silence):
        return act.ends < now - KEPT
    return act.incident not in book.incidents and act.at < now - KEPT
