"""The false alarms that a rule may raise in a month, in all of its series together."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from llmvitals.window import DAY

MONTH: Final = 30 * DAY

FalseAlarms = Annotated[
    float, Field(gt=0, le=1_000, description="False alarms in a month, in all its series together.")
]
"""`false_alarms:` of a rule."""
Series = Annotated[
    int, Field(ge=1, le=1_000_000, description="The number of series that false_alarms is calibrated for.")
]
"""`series:` of a rule: the number of series that the rate holds for."""


def run_length(false_alarms: float, series: int, step: int) -> float:
    """The mean number of steps between two false alarms of a series; step: µs.

    >>> run_length(1, 1, 60_000_000)
    43200.0
    """
    return MONTH / step * series / false_alarms
