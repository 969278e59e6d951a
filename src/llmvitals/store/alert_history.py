"""The changes of alerts that a store holds (`llm_alerts`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.metrics.columns import ALERTS, MEASURES, TEXTS
from llmvitals.store.registry import store_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.settings import Settings

_TAGS: Final = ("rule", "kind", "severity", "state", "fingerprint", "facet")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one alert's state; see metrics/columns. at: µs."""

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
    peak: float | None = None


async def changes(settings: Settings, since: int, until: int) -> list[Change]:
    """All changes with since ≤ at < until (µs), in the order of their times.

    Reads the first configured store. Raises ConfigError where there is none, SinkError when it can't be read.
    """
    points = await store_reader(settings).points(ALERTS, since, until)
    found = [_change(start, tags, fields) for start, tags, fields in points]
    return sorted(found, key=lambda change: (change.at, change.rule, change.fingerprint, change.state))


def _change(at: int, tags: Mapping[str, str], fields: Mapping[str, Any]) -> Change:
    """A change; a field that an older point lacks is empty."""
    values: dict[str, Any] = {name: tags.get(name, "") for name in _TAGS}
    values |= {name: float(fields.get(name) or 0.0) for name in MEASURES[ALERTS]}
    values["peak"] = float(fields.get("peak", values["value"]))
    values |= {name: fields.get(name) or "" for name in TEXTS[ALERTS]}
    return Change(at=at, **{**values, "labels": _labels(values["labels"])})


def _labels(text: str) -> dict[str, str]:
    try:
        labels = json.loads(text or "{}")
    except ValueError:  # a text field is cut at 1,024 characters
        return {}
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}
