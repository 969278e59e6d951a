"""How many false alarms a rule may raise: promised for a month, for all of its series together."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from llmvitals.window import DAY

MONTH: Final = 30 * DAY

FalseAlarms = Annotated[
    float, Field(gt=0, le=1_000, description="How many it may raise in a month, in all its series together.")
]
"""`false_alarms:` of a rule."""
Series = Annotated[
    int, Field(ge=1, le=1_000_000, description="The number of series that this is promised for.")
]
"""`series:` of a rule: for how many series the promise holds."""


def run_length(false_alarms: float, series: int, step: int) -> float:
    """The mean number of steps (of µs each) from one false alarm of a series to the next.

    >>> run_length(1, 1, 60_000_000)
    43200.0
    """
    return MONTH / step * series / false_alarms
