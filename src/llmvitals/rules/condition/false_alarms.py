"""How many false alarms a rule may give: promised for a month and all of its series together."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from llmvitals.window import DAY

MONTH: Final = 30 * DAY

FalseAlarms = Annotated[float, Field(gt=0, le=1_000)]
"""`false_alarms:` of a rule, a month."""
Series = Annotated[int, Field(ge=1, le=1_000_000)]
"""`series:` of a rule: over how many series the promise is."""


def run_length(false_alarms: float, series: int, step: int) -> float:
    """How many steps (of µs each) one series may take, in the mean, until it alarms falsely.

    >>> run_length(1, 1, 60_000_000)
    43200.0
    """
    return MONTH / step * series / false_alarms
