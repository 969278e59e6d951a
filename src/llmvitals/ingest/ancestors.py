"""What lies above a span in its trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=tuple[str, str] | str | int)
"""What names a span."""


class Ancestors(Generic[Key]):
    """Finds the nearest of some spans above a span, in time that is linear over all spans of a record.

    parents: of every span, None without one.
    """

    def __init__(self, parents: Mapping[Key, Key | None]) -> None:
        self.parents = parents

    def nearest(
        self, spans: Iterable[Key], wanted: Mapping[Key, Any], stops: Mapping[Key, Any] = {}
    ) -> dict[Key, Key | None]:
        """Span → the nearest wanted span above it, or None; none beyond a stop."""
        known: dict[Key, Key | None] = {}
        found: dict[Key, Key | None] = {}
        for span in spans:
            path, at, seen = [], self.parents.get(span), {span}
            while at and at not in wanted and at not in known and at not in stops and at not in seen:
                path.append(at)
                seen.add(at)
                at = self.parents.get(at)
            result = at if at in wanted and at not in seen else known.get(at) if at else None
            known.update(dict.fromkeys(path, result))
            found[span] = result
        return _without_cycles(found)


def _without_cycles(above: dict[Key, Key | None]) -> dict[Key, Key | None]:
    """Make one the outermost of spans that damaged ids put above each other: else all of them would go."""
    walked: dict[Key, Key] = {}
    for span in above:
        at: Key | None = span
        while at and at not in walked:
            walked[at], at = span, above.get(at)
        if at and walked[at] == span:
            above[at] = None
    return above
