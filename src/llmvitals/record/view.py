"""A view: which calls (where) and split by what (by). A series is one value of its dimensions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from llmvitals.record.pattern import matches

DIMENSIONS: Final = (
    "environment", "app", "team", "tenant", "user", "session", "key", "agent",
    "model", "requested_model", "provider", "operation", "service_tier", "status", "error_type",
    "prompt_name", "prompt_version",
)  # fmt: skip
"""Names that `by` and `where` may use, beside `tags.NAME`. Each is a field of the call."""

UNKNOWN: Final = "unknown"
"""What an absent dimension is called."""
OTHER: Final = "_other"
"""The series that takes what is over a view's limit. A caller's own `_other` is called `_other_`."""
COUNTLESS: Final = frozenset(("session", "user"))
"""Dimensions with ever more values, which a store of metrics can't bear as tags: alerts name them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one dimension has to be.

    values: any of these (empty: any value); regex: a full match; negate: the opposite of both.
    """

    values: frozenset[str] = frozenset()
    regex: str | None = None
    negate: bool = False

    def accepts(self, value: str) -> bool:
        """Whether a call with this value of the dimension belongs to the view."""
        found = (not self.values or value in self.values) and (
            self.regex is None or matches(self.regex, value)
        )
        return found != self.negate


@dataclass(frozen=True, slots=True)
class View:
    """A filter and a list of dimensions.

    name: the tag `view` of its metrics. where: dimension → condition, all of which must hold.
    eager: its open panes are sent early, because a budget reads them. contributors: whether its series
    keep their heaviest users, sessions, keys, prompts and models. stored: whether its metrics are written.
    meaning: whether its series keep the sums of embeddings. split: the last of `by` tells arms apart, which a
    rule compares: what has the other values in common has one home, and rules read it as one series.
    """

    name: str
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, Condition], ...] = field(default=())
    eager: bool = False
    contributors: bool = False
    stored: bool = True
    meaning: bool = False
    split: bool = False

    def home(self, series: tuple[str, ...]) -> tuple[str, ...]:
        """The series as rules know it: without its arm."""
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
