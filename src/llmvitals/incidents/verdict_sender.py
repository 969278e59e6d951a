"""Verdicts: what budgets' alerts say to gateways, sent when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.incidents.verdicts import judged
from llmvitals.record.log import Message, Topic

if TYPE_CHECKING:
    from llmvitals.incidents.mutes import Mutes
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.alert import Alert


class Judge:
    """Remembers what it has sent, by the alerts' fingerprints, so that only changes are sent again.

    asked: whether it was asked about all that was restored.
    """

    def __init__(self) -> None:
        self.asked = False
        self._sent: dict[str, Message] = {}

    def one(self, book: IncidentStore, mutes: Mutes, alert: Alert, now: int) -> list[Message]:
        """The verdict on an alert's series, if there is a new one."""
        # What is held may be over already: it blocks nobody until people are told of it.
        alerts = [case.alert for case in book.alike(alert.fingerprint) if case.fresh or not case.firing]
        before = self._sent.get(alert.fingerprint)
        if before is None and all(one.gate is None for one in alerts):
            return []
        verdict = judged(alerts, mutes.override(alert.marks, now), now)
        if verdict is None:
            if before is None:
                return []
            message = before._replace(value=None)  # the rule steers nobody any more
        else:
            # Who may call again is deleted: gateways read the topic whole when they start.
            value = None if verdict.verdict == "allow" and not verdict.override else verdict.encode()
            message = Message(Topic.VERDICTS, verdict.key, value)
        if message == before:
            return []
        self._sent[alert.fingerprint] = message
        return [message]

    def all(self, book: IncidentStore, mutes: Mutes, now: int) -> list[Message]:
        """The same for every budget: an override may have begun or ended."""
        self.asked = True
        alerts = {case.alert.fingerprint: case.alert for case in book.cases.values()}
        return [message for alert in alerts.values() for message in self.one(book, mutes, alert, now)]
