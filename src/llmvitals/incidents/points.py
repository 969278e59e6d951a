"""A change of an alert's state → a point of the measurement `llm_alerts`: pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from llmvitals.metrics.columns import ALERTS
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from llmvitals.record.alert import Alert

State = Literal["firing", "level", "update", "resolved", "acknowledged", "silenced"]


def point(alert: Alert, state: State, *, at: int | None = None, by: str = "") -> Message:
    """The point for an alert that came into a state at `at` (µs; its own newest change when None).

    The same change gives the same point in every replay, so it may be written again. by: who did it.
    """
    when = alert.at if at is None else at
    found = Point(
        measurement=ALERTS,
        start=when,
        tags={
            "rule": alert.rule,
            "kind": alert.kind,
            "severity": alert.severity,
            "state": state,
            "fingerprint": alert.fingerprint,
            **({"facet": alert.facet} if alert.facet else {}),
        },
        counts={"changes": int(state != "update")},
        measures={
            "value": alert.value,
            "limit": alert.limit,
            "seconds": max(when - alert.since, 0) / SECOND,
            "peak": alert.worst,
        },
        texts={
            "episode": alert.episode,
            "level": alert.level,
            "by": by,
            "unit": alert.unit,
            "labels": json.dumps(alert.labels, ensure_ascii=False, sort_keys=True),
        },
    )
    return Message(Topic.VITALS, alert.fingerprint.encode(), found.encode())
