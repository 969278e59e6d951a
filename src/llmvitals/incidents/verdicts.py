"""Verdicts: what the alerts of a budget's series say to gateways, sent when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from llmvitals.record.log import Message, Topic
from llmvitals.record.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.incidents.mutes import Mutes
    from llmvitals.incidents.store import IncidentStore
    from llmvitals.record.alert import Alert
    from llmvitals.record.user_action import Silence

_WORTH: Final = {"warn": 1, "block": 2}


def judged(alerts: Sequence[Alert], override: Silence | None, now: int) -> Verdict | None:
    """The verdict on one series of one rule; None where the rule steers no gateways.

    alerts: the newest change of each alert of this rule and series that is known, over or not, the oldest
    first; never empty. override: what lifts a block now. now: µs. It is asked for when one of the alerts has
    changed, and when an override begins or ends; it sends a verdict that is not the one it has sent last.
    The strongest alert that fires counts, of equal ones the newest. An alert whose period is over by the
    clock says nothing any more, even if its end has not come in. Once none counts it is `allow` without an
    override: there is nothing to be said. The hysteresis is the detector's: an episode ends when the period
    does, or when a rolling spend is clearly below the lowest threshold.
    """
    steering = [alert for alert in alerts if alert.gate is not None]
    if not steering:
        return None
    counting = [
        alert
        for alert in steering
        if alert.status == "firing" and alert.verdict in _WORTH and (alert.ends is None or alert.ends > now)
    ]
    chief = max(counting, key=lambda alert: (_WORTH[alert.verdict], alert.changed), default=None)
    if chief is None:
        return _verdict(steering[-1], "allow", "the budget has room again")
    if override is not None:
        reason = f"lifted by {override.by}" + (f": {override.comment}" if override.comment else "")
        return _verdict(chief, "allow", reason, override=override)
    return _verdict(chief, "block" if chief.verdict == "block" else "warn", chief.summary)


def _verdict(
    alert: Alert, verdict: Literal["allow", "warn", "block"], reason: str, override: Silence | None = None
) -> Verdict:
    return Verdict(
        verdict=verdict,
        rule=alert.rule,
        series=alert.gate.series if alert.gate else {},
        where=alert.gate.where if alert.gate else (),
        reason=reason,
        metric=alert.metric,
        since=override.starts if override else alert.changed,
        until=override.ends if override else alert.ends,
        spent=alert.value,
        limit=alert.limit,
        overshoot=alert.overspent,
        override=override.by if override else "",
        at=alert.at,
    )


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
