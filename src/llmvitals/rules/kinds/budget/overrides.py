"""Finds overrides that match no value of `by`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.record.view import UNKNOWN
from llmvitals.rules.condition.dimensions import meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.errors import Spot
    from llmvitals.record.view import Condition

_SLASHED: Final = frozenset(("model", "requested_model", "prompt_name"))
"""Dimensions whose values often have a slash, such as openai/gpt-5."""


def dead_overrides(
    keys: Iterable[str], by: Sequence[str], where: Sequence[tuple[str, Condition]]
) -> dict[Spot, str]:
    """The overrides that no series can have. A key is the values of `by`, joined by /."""
    wanted = dict(where)
    found: dict[Spot, str] = {}
    for key in keys:
        values = [key] if len(by) == 1 else key.split("/")
        pairs = list(zip(by, values, strict=False))
        excluded = [name for name, value in pairs if name in wanted and not wanted[name].accepts(value)]
        message = None
        if len(values) < len(by):
            message = f"{key!r} is no value of by: write {_form(by)}"
        elif "" in values[: len(by)]:
            message = f"{key!r} has an empty value: write {_form(by)}, with {UNKNOWN} where there is none"
        elif meant(key) is not None:
            message = f"{key!r} is compared as it is, not as a pattern: write a rule of its own with where"
        elif len(values) == len(by) and excluded:
            message = f"{key!r} never comes, as where excludes this {excluded[0]}: leave it out"
        if message:
            found["overrides", key] = message
    return found


def doubtful_overrides(keys: Iterable[str], by: Sequence[str]) -> dict[Spot, str]:
    """The overrides that have more parts than `by` has dimensions: right only if a value has a slash."""
    if len(by) == 1 and (by[0] in _SLASHED or by[0].startswith("tags.")):
        return {}
    return {
        ("overrides", key): f"{key!r} has {key.count('/') + 1} parts, and by has {len(by)}: unless a value "
        f"itself has a slash, write {_form(by)}"
        for key in keys
        if key.count("/") >= len(by)
    }


def _form(by: Sequence[str]) -> str:
    return "/".join(name.upper().removeprefix("TAGS.") for name in by)
