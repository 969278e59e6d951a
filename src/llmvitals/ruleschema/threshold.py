"""The schema of `threshold:`, a statistic against a fixed limit."""

from __future__ import annotations

from typing import Final

from llmvitals.metrics.registry import METRICS
from llmvitals.record.alert import Unit
from llmvitals.ruleschema.parts import MIN_CALLS, NUMBER, SCOPE, WINDOW, Schema, limit, mapping, told, when

_SCORE: Final = r"^score\.\S{1,64}_mean$"
_THRESHOLD: Final[Schema] = {
    "metric": told(
        {"type": "string", "anyOf": [{"enum": list(METRICS)}, {"pattern": _SCORE}]},
        "The statistic that is watched.",
    ),
    "above": told({}, "The limit, in the metric's unit: 4s, 20%, dollars or a number."),
    "below": told({}, "The limit from below."),
    "window": told(WINDOW, WINDOW["description"], default="5m"),
    "min_calls": told(MIN_CALLS, "With fewer calls in the window nothing is said.", default=20),
    "resolve_below": told({}, "With above: it is over below this."),
    "resolve_above": told({}, "With below: it is over above this."),
}


def threshold() -> Schema:
    """What stands under `threshold:`."""
    return told(
        mapping(
            {**_THRESHOLD, **SCOPE},
            required=("metric",),
            oneOf=[{"required": ["above"]}, {"required": ["below"]}],
            allOf=_limits(),
            dependentRequired={"resolve_below": ["above"], "resolve_above": ["below"]},
        ),
        "A statistic over a trailing window against a fixed limit.",
    )


def _limits() -> list[Schema]:
    """What a limit looks like depends on the metric's unit."""
    sides = ("above", "below", "resolve_below", "resolve_above")
    units: dict[Unit, list[str]] = {}
    for name, metric in METRICS.items():
        units.setdefault(metric.unit, []).append(name)
    found = [when("metric", names, dict.fromkeys(sides, limit(unit)), {}) for unit, names in units.items()]
    found.append(when("metric", ["calls", "calls_per_s"], {"below": False}, {}))
    score = {"properties": {"metric": {"pattern": _SCORE}}}
    return [*found, {"if": score, "then": {"properties": dict.fromkeys(sides, NUMBER)}}]
