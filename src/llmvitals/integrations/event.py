"""Makes the fields of an observation a valid native event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import orjson
from pydantic import ValidationError

from llmvitals.errors import near
from llmvitals.integrations.guard import warn
from llmvitals.record.call import CallEvent

LABELS: Final[tuple[str, ...]] = (
    "environment", "app", "team", "tenant", "user", "session", "key", "agent", "prompt_name",
    "prompt_version", "tags",
)  # fmt: skip
"""Fields that calls inside of an observation get from it."""
_LONGER: Final = {
    "prompt_name": 256, "prompt_version": 256, "error_type": 256, "finish_reason": 256,
    "response_id": 513, "input_text": 30_000, "output_text": 30_000,
}  # fmt: skip
"""Field → characters at which it is cut. A response id that is too long is left out: a part of it tells no
calls apart. With longer texts the event would exceed what combine reads of one call."""
_MOST_TAGS: Final = 16
OPERATIONS: Final = frozenset(get_args(CallEvent.model_fields["operation"].annotation))
"""What an event may be of."""


def known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that an event has and that are not None; others are left out with a warning."""
    found = {name: value for name, value in fields.items() if value is not None}
    for name in found.keys() - CallEvent.model_fields.keys():
        near_name = near(name, CallEvent.model_fields)
        advice = f"did you mean {near_name}?" if near_name else "`llmvitals schema call` lists all of them."
        warn(f"a call has no field {name}, so it is left out: {advice}")
        del found[name]
    if not isinstance(found.get("tags", {}), dict):
        warn("the tags of a call are no dict, and are left out.")
        del found["tags"]
    return found


def merged(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of both. Those of `inner` go before, also each single tag."""
    fields = {**outer, **inner}
    if outer.get("tags") and inner.get("tags"):
        fields["tags"] = {**outer["tags"], **inner["tags"]}
    return fields


def event(made: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """An event that ingest reads: names are cut to their limit, and values of a wrong type are left out.

    made: fields with valid values, which hold where `fields` have none.
    """
    given = {name: _cut(name, value) for name, value in fields.items() if value not in (None, "", [], {})}
    left_out: set[str] = set()
    while wrong := _wrong({**made, **given}) & given.keys():
        left_out |= wrong
        given = {name: value for name, value in given.items() if name not in wrong}
    if left_out:
        names = ", ".join(sorted(left_out))
        warn(f"these fields of a call have no valid value, and are left out: {names}.")
    return {name: value for name, value in {**made, **given}.items() if value is not None}


def _wrong(fields: Mapping[str, Any]) -> set[str]:
    try:
        CallEvent.read(orjson.dumps(fields))
    except ValidationError as error:
        return {str(part["loc"][0]) for part in error.errors(include_input=False, include_url=False)}
    except TypeError:  # not JSON
        return {name for name, value in fields.items() if not _is_json(value)}
    return set()


def _is_json(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _cut(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value[: _LONGER.get(name, 128)]
    if name == "tags":
        return {str(tag)[:128]: str(text)[:256] for tag, text in list(value.items())[:_MOST_TAGS]}
    return value
