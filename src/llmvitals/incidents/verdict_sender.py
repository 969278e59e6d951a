"""Verdicts: what budgets' alerts say to gateways, sent when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.incidents.verdicts import judged
from llmvitals.record.log import Message, Topic

if TYPE_CHECKING:
    from llmvitals.incidents.mutes import Mutes
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.alert import Alert


class VerdictSender:
    """Sends verdicts when they change; remembers what it has sent, by the alerts' fingerprints.

    complete: whether the verdicts on all that was restored were looked at.
    """

    def __init__(self) -> None:
        self.complete = False
        self._sent: dict[str, Message] = {}

    def changed(self, store: IncidentStore, mutes: Mutes, alert: Alert, now: int) -> list[Message]:
        """Return the verdict on an alert's series, if there is a new one."""
        # A held alert may be over already: it blocks nobody before people hear of it.
        alerts = [case.alert for case in store.alike(alert.fingerprint) if case.fresh or not case.firing]
        before = self._sent.get(alert.fingerprint)
        if before is None and all(known.gate is None for known in alerts):
            return []
        verdict = judged(alerts, mutes.override(alert.marks, now), now)
        if verdict is None:
            if before is None:
                return []
            message = before._replace(value=None)  # the rule no longer steers gateways
        else:
            # Deleted when the series may call again: gateways read the topic whole at their start.
            value = None if verdict.verdict == "allow" and not verdict.override else verdict.encode()
            message = Message(Topic.VERDICTS, verdict.key, value)
        if message == before:
            return []
        self._sent[alert.fingerprint] = message
        return [message]

    def all(self, store: IncidentStore, mutes: Mutes, now: int) -> list[Message]:
        """Return the new verdicts on every budget: an override may have begun or ended."""
        self.complete = True
        alerts = {case.alert.fingerprint: case.alert for case in store.cases.values()}
        return [message for alert in alerts.values() for message in self.changed(store, mutes, alert, now)]
