"""The false alarms that a rule may raise in a month, in all of its series together.

Without a number of series in the rule, each shard has an equal share of the promise, and the live series of
the rule's view share that of their shard. So the shards never promise more together than the rule does, and
need not know of each other.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from llmvitals.window import DAY

MONTH: Final = 30 * DAY

FalseAlarms = Annotated[
    float, Field(gt=0, le=1_000, description="The most false alarms in a month, in all its series together.")
]
"""`false_alarms:` of a rule."""
Series = Annotated[
    int, Field(ge=1, le=1_000_000, description="The number of series that false_alarms is calibrated for.")
]
"""`series:` of a rule: the number of series that the rate holds for."""
MOST: Final = 1_000_000


def _auto(value: Any) -> Any:
    if value == "auto":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is no number of series: write auto or a whole number, such as 20")


SeriesOrAuto = Annotated[
    Annotated[int, Field(ge=1, le=MOST)] | None,
    BeforeValidator(_auto),
    Field(description="The number of series that share false_alarms; auto: the live ones."),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": MOST}]}),
]
"""`series:` of a rule that may leave the number to shared_rules; None: it does."""
AUTO: Final[Any] = Field("auto", validate_default=True)
"""The default of a field `series: SeriesOrAuto`."""


def run_length(false_alarms: float, series: int | None, step: int) -> float:
    """The mean number of steps between two false alarms of a series; step: µs. series: None is 1.

    >>> run_length(1, 1, 60_000_000)
    43200.0
    """
    return MONTH / step * (series or 1) / false_alarms
