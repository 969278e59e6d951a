"""The schema of `outage:`, a provider that fails."""

from __future__ import annotations

from typing import Final

from llmvitals.ruleschema.parts import CHANCE, MIN_CALLS, PART, SCOPE, WINDOW, Schema, mapping, told

_NO_FATE: Final[Schema] = {"not": {"enum": ["error_type", "status"]}}
_OUTAGE: Final[Schema] = {
    "window": told(WINDOW, WINDOW["description"], default="1m"),
    "minor": told(CHANCE, "The share of failed calls from which on it is an outage.", default="20%"),
    "major": told(PART, "…and a major one, which is critical.", default="60%"),
    "resolve_below": told(CHANCE, "It is over below this; by default half of minor."),
    "min_calls": told(MIN_CALLS, "With fewer calls in the window nothing is said.", default=10),
    "errors": told(
        {"$ref": "#/$defs/condition"}, "The error_types that are the provider's fault; default: any."
    ),
}


def outage() -> Schema:
    """What stands under `outage:`."""
    return told(
        mapping({**SCOPE, **_OUTAGE}, allOf=[{"properties": {"where": {"propertyNames": _NO_FATE}}}]),
        "A provider that fails: minor and major.",
    )
