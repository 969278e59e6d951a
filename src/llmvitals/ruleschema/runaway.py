"""The schema of `runaway:`, someone out of control."""

from __future__ import annotations

from typing import Final

from llmvitals.ruleschema.parts import ABOVE_0, SCOPE, WINDOW, Schema, mapping, told

_RUNAWAY: Final[Schema] = {
    "window": told(WINDOW, WINDOW["description"], default="10m"),
    "spend": told(ABOVE_0, "Dollars within the window."),
    "same_tool": told(
        {"type": "integer", "minimum": 2, "maximum": 1_000_000},
        "So many calls of one tool with the same arguments.",
    ),
    "signatures": told(
        mapping(
            {
                "calls": told({"type": "integer", "minimum": 2, "maximum": 1_000_000}, "So many tool calls…"),
                "at_most": told(
                    {"type": "integer", "minimum": 1, "maximum": 20}, "…of at most so many kinds."
                ),
            },
            required=("calls", "at_most"),
        ),
        "Many tool calls of few kinds: a loop.",
    ),
}


def runaway() -> Schema:
    """What stands under `runaway:`."""
    return told(
        mapping(
            {**_RUNAWAY, **SCOPE},
            allOf=[{"properties": {"by": {"minItems": 1}}}],
            anyOf=[{"required": [name]} for name in ("spend", "same_tool", "signatures")],
        ),
        "A session, user or key that spends too much, or calls the same tools over and over.",
    )
