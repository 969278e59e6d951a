"""The schema of the `notify:` section."""

from __future__ import annotations

from typing import Final

from llmvitals.routing import EACH
from llmvitals.rules.mute_times import DAYS
from llmvitals.rules.routes import MOST
from llmvitals.ruleschema.parts import CHANNEL, CLOCK, DURATION, LABELS, MATCHERS, NAME, Schema, mapping, told

_WAY: Final[Schema] = {
    "slack": told(CHANNEL, "The channel; default: the setting slack_channel."),
    "group_by": told(
        LABELS | {"anyOf": [{"maxItems": 1}, {"not": {"contains": {"const": EACH}}}]},
        'Labels whose values make one incident, such as [rule, team]; ["..."]: each alert is its own.',
    ),
    "group_wait": told(
        DURATION, "How long a new incident waits for what belongs to it; at most 1h.", default="0s"
    ),
    "group_interval": told(DURATION, "How long further news of it wait; at most 1d.", default="5m"),
    "repeat_interval": told(
        DURATION, "How often it is said again while it fires; at most 31d.", default="4h"
    ),
}


def notify() -> Schema:
    """What stands under `notify:` at the top of a file."""
    return mapping(
        {
            **_WAY,
            "routes": told(
                _list(_route()), "The first that matches is an alert's; what it doesn't say is said above."
            ),
            "inhibit": told(_list(_inhibit()), "Alerts that mute others while they fire."),
            "mute_times": told(_list(_mute()), "Times in which a route says nothing."),
        }
    )


def _route() -> Schema:
    return mapping(
        {
            "match": told(
                MATCHERS, "label=value, !=, =~ and !~ (regex); all have to hold. None: every alert."
            ),
            **_WAY,
            "mute": told({"type": "array", "items": {"type": "string"}}, "Names of mute_times."),
        }
    )


def _inhibit() -> Schema:
    return mapping(
        {
            "source": told(MATCHERS, "While an alert matches this…"),
            "target": told(MATCHERS, "…those that match this are not told…"),
            "equal": told(LABELS, "…where these labels are the same."),
        },
        required=("source", "target"),
    )


def _mute() -> Schema:
    return mapping(
        {
            "name": told(NAME, "What routes call it."),
            "days": told(
                {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1}, "Default: every day."
            ),
            "from": told(
                CLOCK | {"not": {"const": "24:00"}},
                "In quotes: '22:00'. A span that ends before it begins lasts overnight.",
            ),
            "to": told(CLOCK, "In quotes: '07:00'."),
            "timezone": told({"$ref": "#/$defs/zone"}, "Whose clock it is.", default="UTC"),
        },
        required=("name",),
        dependentRequired={"from": ["to"], "to": ["from"]},
    )


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "maxItems": MOST}
