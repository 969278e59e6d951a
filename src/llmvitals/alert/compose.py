"""Reading → Alert: what changed, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from llmvitals.alert.text import rendered, values
from llmvitals.record.alert import Alert, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.alert.rule import Rule
    from llmvitals.record.alert import Heavy
    from llmvitals.record.reading import Reading


@dataclass(frozen=True, slots=True)
class Evidence:
    """Who carried it: the heaviest contributors, and ids of calls worth a look."""

    heaviest: list[Heavy]
    exemplars: list[str]


def over(life: Mapping[str, Any], at: int, why: str) -> Alert:
    """The end of a life that no reading ended: its last alert, resolved at `at` for the reason."""
    last = msgspec.convert(life["alert"], Alert)
    return msgspec.structs.replace(
        last, status="resolved", at=at, until=at, summary=f"{last.summary} (resolved: {why})"
    )


def composed(
    rule: Rule, series: Mapping[str, str], reading: Reading, life: Mapping[str, Any], evidence: Evidence
) -> Alert:
    """The alert for the change that a reading made to a life (see state.Life)."""
    firing = reading.verdict == "breach"
    reading = reading._replace(level=life["level"])
    names = values(rule, series, reading)
    told = {name: rendered(template, names) for name, template in rule.annotations.items()}
    mark = fingerprint(rule.name, dict(series))
    condition = rule.condition
    return Alert(
        rule=rule.name,
        kind=condition.kind,
        status="firing" if firing else "resolved",
        severity=rule.severity,
        fingerprint=mark,
        episode=f"{mark}-{reading.begin or life['since']}",
        group=f"{rule.group}/{rule.name}",
        labels={**series, **rule.labels},
        metric=condition.metric,
        unit=condition.unit,
        value=reading.value,
        limit=reading.limit,
        level=reading.level,
        window=condition.window_text,
        since=life["since"],
        at=life["at"],
        until=None if firing else life["at"],
        summary=told.get("summary") or rendered(condition.summary, names),
        annotations=told,
        notify=dict(rule.notify),
        heaviest=evidence.heaviest,
        exemplars=evidence.exemplars,
    )
