"""Names and formats of the statistics of detectors that are no metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """How a statistic is shown.

    name: of the statistic. value: the value with its noun, `{}` for the number; one: the same for 1, if it
    differs. named, levelled: whether a message adds the name and the alert's level to the value.
    note: whether the alert's note says more than its value, so that a list of alerts shows the note.
    """

    name: str
    value: str
    one: str = ""
    named: bool = True
    levelled: bool = True
    note: bool = False

    def said(self, number: float, text: str) -> str:
        """A value as people read it; text: the number as text."""
        return (self.one if self.one and number == 1 else self.value).format(text)


STATISTICS: Final[dict[str, Words]] = {
    "drift": Words("Drift", "{} × its threshold"),
    "times_worse": Words("Canary against control", "{} times as bad as its control", named=False),
    "changes": Words(
        "Sudden changes", "{} metrics changed", "{} metric changed", named=False, levelled=False, note=True
    ),
}
"""Statistic (`metric` of an alert) → its words. The words say what the value is compared with."""

FACETS: Final = {"burn": "burn rate", "forecast": "forecast"}
"""Facet of an alert → its name in messages."""

PERIODS: Final = {
    "hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly",
    "year": "yearly",
}  # fmt: skip
"""Period of a budget → its adjective."""
SUBJECTS: Final = {
    "absence": "no calls", "canary": "worse versions", "change": "sudden changes", "drift": "changed content",
    "outage": "outage", "runaway": "runaway calls",
}  # fmt: skip
"""Kind of a rule → what several of its alerts are about, where that is not the metric."""
BUDGETS: Final = {
    "": ("{where} has used {share} of its {name}", "{share} of the {name} is used"),
    "blocked": (
        "{where} is blocked: {share} of its {name} is used",
        "Calls are blocked: {share} of the {name} is used",
    ),
    "overspent": ("{where} overspent its {name}", "The {name} was overspent"),
    "kept": ("{where} kept to its {name}", "The {name} was kept to"),
    "burn": ("The {name} of {where} {be} spent too fast", "The {name} {be} spent too fast"),
    "forecast": (
        "The {name} of {where} {be} likely to be overspent", "The {name} {be} likely to be overspent"
    ),
}  # fmt: skip
"""What is to be said of a budget → the words for one series, and for all calls."""
