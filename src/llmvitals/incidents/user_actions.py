"""What people do about alerts: user actions that come in by the topic of silences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from msgspec.structs import replace

from llmvitals.incidents.intake import point
from llmvitals.record.log import Message, Topic
from llmvitals.record.user_action import Acknowledgement, Question, Silence, UserAction, decode, encode
from llmvitals.window import DAY, SECOND
from llmvitals.wording import clean

if TYPE_CHECKING:
    from llmvitals.incidents.mutes import Mutes
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.log import Record

log: Final = structlog.get_logger(__name__)

KEPT: Final = 5 * DAY
"""How long an ended silence is remembered, as in Alertmanager."""
_SKEW: Final = 5 * SECOND


class UserActions:
    """What people have done that is still of any account, by the keys of its records."""

    def __init__(self) -> None:
        self._known: dict[bytes, UserAction] = {}

    def hear(self, record: Record, store: IncidentStore, mutes: Mutes, now: int) -> tuple[str, list[Message]]:
        """Take a record in; return the id of the incident that it changed ("" for none), and points."""
        if record.value is None:
            gone = self._known.pop(record.key or b"", None)
            if isinstance(gone, Silence):
                mutes.forget(gone.id)
            return "", []
        try:
            action = decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = clean(str(error), 200)
            log.warning(
                "a record on the silences topic is no user action", offset=record.offset, reason=reason
            )
            return "", []
        self._known[action.key] = action
        if isinstance(action, Silence):
            mutes.hear(action)
            return "", []
        return self._answer(action, store, now)

    def expired(self, store: IncidentStore, mutes: Mutes, now: int) -> list[Message]:
        """Forget silences KEPT after their end, and other actions with their incident; return tombstones."""
        gone = [key for key, action in self._known.items() if _expired(action, store, now)]
        for key in gone:
            action = self._known.pop(key)
            if isinstance(action, Silence):
                mutes.forget(action.id)
        return [Message(Topic.SILENCES, key, None) for key in gone]

    def _answer(
        self, action: Acknowledgement | Question, store: IncidentStore, now: int
    ) -> tuple[str, list[Message]]:
        incident = store.incidents.get(action.incident)
        if incident is None or (isinstance(action, Question) and incident.asked):
            return "", []
        if isinstance(action, Question):
            store.put(replace(incident, asked=True))
            return incident.id, []
        stale = action.at < incident.born - _SKEW
        if incident.until is not None or incident.acknowledged is not None or stale:
            return "", []
        at = min(action.at, now)
        store.put(replace(incident, acknowledged=(action.by, at)))
        firing = [case.alert for case in store.members(incident.id) if case.firing]
        return incident.id, [
            point(alert, "acknowledged", at=max(at, alert.at), by=action.by) for alert in firing
        ]


def message(action: UserAction) -> Message:
    """Return the record of a user action."""
    return Message(Topic.SILENCES, action.key, encode(action))


def _expired(action: UserAction, store: IncidentStore, now: int) -> bool:
    if isinstance(action, Silence):
        return action.ends < now - KEPT
    return action.incident not in store.incidents and action.at < now - KEPT
