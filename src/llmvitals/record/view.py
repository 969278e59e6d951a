"""A view: selects calls (where) and splits them into series by dimensions (by)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from llmvitals.record.pattern import matches

DIMENSIONS: Final = (
    "environment", "app", "team", "tenant", "user", "session", "key", "agent",
    "model", "requested_model", "provider", "operation", "service_tier", "status", "error_type",
    "prompt_name", "prompt_version", "outcome",
)  # fmt: skip
"""Names that `by` and `where` may use, beside `tags.NAME`. Each is a field of the call."""

UNKNOWN: Final = "unknown"
"""The value of an absent dimension."""
OTHER: Final = "_other"
"""The series of the calls beyond a view's limit of series. A value `_other` in a call becomes `_other_`."""
COUNTLESS: Final = frozenset(("session", "user"))
"""Dimensions with an unbounded number of values: no tags in a store, but labels of alerts."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one dimension.

    values: any of these (empty: any value); regex: a full match; negate: the opposite of both.
    """

    values: frozenset[str] = frozenset()
    regex: str | None = None
    negate: bool = False

    def accepts(self, value: str) -> bool:
        """Whether a call with this value of the dimension belongs to the view."""
        matching = (not self.values or value in self.values) and (
            self.regex is None or matches(self.regex, value)
        )
        return matching != self.negate


@dataclass(frozen=True, slots=True)
class View:
    """A filter and a list of dimensions.

    name: the tag `view` of its points. where: (dimension, condition), all of which must hold. eager: whether
    open panes are sent early, for budgets. contributors: whether series keep their top users, sessions, keys,
    prompts and models. stored: whether points are written. meaning: whether series keep sums of embeddings.
    split: whether the last of `by` is the arm that a rule compares. Series that differ only in the arm have
    one home, and rules read them as one series. exemplars: whether series keep their worst calls.
    """

    name: str
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, Condition], ...] = field(default=())
    eager: bool = False
    contributors: bool = False
    stored: bool = True
    meaning: bool = False
    split: bool = False
    exemplars: bool = True

    def home(self, series: tuple[str, ...]) -> tuple[str, ...]:
        """The home of a series: the series without its arm."""
        return series[:-1] if self.split else series


DEFAULT_VIEWS: Final = (
    View("all", contributors=True),
    View("team", ("team",), contributors=True),
    View("app", ("app",), contributors=True),
    View("app_model", ("app", "model")),
    View("prompt", ("app", "prompt_name", "prompt_version")),
    View("provider_model", ("provider", "model")),
    View("environment", ("environment",)),
)
