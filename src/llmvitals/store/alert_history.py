"""The changes of alerts that a store holds (`llm_alerts`), the same from InfluxDB and from SQLite."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.metrics.columns import ALERTS, MEASURES, TEXTS
from llmvitals.store.stored import stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.settings import Settings

_TAGS: Final = ("rule", "kind", "severity", "state", "fingerprint", "facet")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one alert's state; see record/columns. at: µs."""

    at: int
    rule: str
    kind: str
    severity: str
    state: str
    fingerprint: str
    facet: str
    episode: str
    level: str
    by: str
    value: float
    limit: float
    unit: str
    seconds: float
    labels: Mapping[str, str]


async def changes(settings: Settings, since: int, until: int) -> list[Change]:
    """All changes with since ≤ at < until (µs), in the order of their times.

    From InfluxDB where one is set, else from SQLite. Raises ConfigError where no store is set, SinkError when
    the store says no.
    """
    found = await stored(settings, ALERTS, since, until)
    made = [_change(at, tags, fields) for at, tags, fields in found if since <= at < until]
    return sorted(made, key=lambda change: (change.at, change.rule, change.fingerprint, change.state))


def _change(at: int, tags: Mapping[str, str], fields: Mapping[str, Any]) -> Change:
    """A change; what an older point lacks is left empty."""
    found: dict[str, Any] = {name: tags.get(name, "") for name in _TAGS}
    found |= {name: float(fields.get(name) or 0.0) for name in MEASURES[ALERTS]}
    found |= {name: fields.get(name) or "" for name in TEXTS[ALERTS]}
    return Change(at=at, **{**found, "labels": _labels(found["labels"])})


def _labels(text: str) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:  # a text field is cut at 1,024 characters
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
