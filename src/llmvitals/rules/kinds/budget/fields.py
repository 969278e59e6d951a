# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The types of a budget's fields, with the JSON Schema of what people write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from llmvitals.errors import checked, suggestion
from llmvitals.metrics.amount import BASIS, basis_points, dollars_nano, whole
from llmvitals.rules.condition.fields import (
    ABOVE_0,
    CHANCE,
    DURATION,
    INTEGER,
    SHARE,
    Schema,
    pane_of,
    when,
)
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.rules.kinds.budget.burn_windows import MOST, Pair, read_pairs
from llmvitals.window import DAY, PERIODS, duration, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

SPENT: Final[dict[str, tuple[str, ...]]] = {
    "cost": ("cost_nano",),
    "tokens": ("input_tokens", "output_tokens"),
    "calls": ("calls",),
}
"""Metric → the sums that are spent."""
UNITS: Final[dict[str, Unit]] = {"cost": "usd", "tokens": "tokens", "calls": "count"}
SESSION: Final = "session"
EVERY_PERIOD: Final = (*PERIODS, SESSION)
FINE: Final = 288
"""The most buckets of a rolling budget; 24h has buckets of 5 minutes."""
_OFF: Final = ("off", False)
_PAIR: Final[Schema] = {
    "type": "object",
    "properties": {
        "factor": {
            "type": "number",
            "minimum": 0.01,
            "maximum": 10_000,
            "description": "How many times an even spend.",
        },
        "windows": {
            "type": "array",
            "items": DURATION,
            "minItems": 2,
            "maxItems": 2,
            "description": "A long and a short one: [1h, 5m].",
        },
    },
    "additionalProperties": False,
    "required": ["factor", "windows"],
}
_BURN_RATE: Final[Schema] = {
    "anyOf": [
        {"enum": ["default", *_OFF]},
        {"type": "array", "items": _PAIR, "minItems": 1, "maxItems": MOST},
    ]
}
CONDITIONS: Final[Schema] = {
    "oneOf": [{"required": ["per"]}, {"required": ["rolling"]}],
    "allOf": [
        when(
            "per",
            [SESSION],
            {
                "timezone": False,
                "by": {"anyOf": [{"const": SESSION}, {"contains": {"const": SESSION}, "type": "array"}]},
            },
            {"idle": False},
        ),
        when("per", ["hour"], {"burn_rate": {"enum": list(_OFF)}}),
        when("metric", ["tokens", "calls"], dict.fromkeys(("limit", "floor"), INTEGER)),
        {"if": {"required": ["rolling"]}, "then": {"properties": {"timezone": False}}},
    ],
    "dependentRequired": {
        "overrides": ["by"],
        "floor": ["burn_rate"],
        "block_at": ["verdict"],
        "forecast": ["per"],
    },
}
"""Which fields of a budget require or exclude each other."""


def _spent(value: Any) -> str:
    if value not in tuple(SPENT):
        raise ValueError(f"{value!r} can't be budgeted{suggestion(str(value), SPENT)}")
    return str(value)


def _amount(value: Any, info: ValidationInfo) -> int:
    integer = dollars_nano(value) if info.data.get("metric", "") == "cost" else whole(value)
    if integer <= 0:
        raise ValueError(f"{value} is not a limit: write one above 0")
    return integer


def _overrides(value: Any, info: ValidationInfo) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("write key: limit, such as {search: 2000}")
    return checked(value.items(), lambda _, limit: _amount(limit, info))


def _period(value: Any) -> str:
    if value not in EVERY_PERIOD:
        raise ValueError(f"{value!r} is not a period{suggestion(str(value), EVERY_PERIOD)}, or rolling: 24h")
    return str(value)


def _rolling(value: Any, info: ValidationInfo) -> int:
    length = duration(value)
    if length > 31 * DAY:
        raise ValueError(f"{value} is too long: at most 31d, or use per: year")
    bucket_length(length, pane_of(info), FINE)
    return length


def _idle(value: Any, info: ValidationInfo) -> int:
    length, pane = duration(value), pane_of(info)
    if not pane <= length <= DAY or length % pane:
        raise ValueError(f"{value} is not a multiple of a pane ({duration_text(pane)}) up to 24h: write 30m")
    return length


def _thresholds(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("write a list of shares, such as [50%, 80%, 100%]")
    steps = list(checked(enumerate(value), lambda _, step: basis_points(step)).values())
    if steps != sorted(set(steps)) or steps[0] <= 0:
        raise ValueError("write them in ascending order, each once, above 0%")
    return tuple(steps)


def _burn_rate(value: Any, info: ValidationInfo) -> tuple[Pair, ...] | Literal["default"] | None:
    if value is False or value == "off":
        return None
    if value == "default":
        return "default"
    return read_pairs(value, pane_of(info))


def _chance(value: Any) -> int | None:
    if value is False or value == "off":
        return None
    points = basis_points(value)
    if not 0 < points < BASIS:
        raise ValueError(f"{value} is not a valid chance: write one below 100%, such as 80%")
    return points


def _verdict(value: Any) -> str:
    if value not in ("warn", "block"):
        raise ValueError(f"{value!r} is not an action of a gateway: write warn or block")
    return str(value)


Metric = Annotated[str, BeforeValidator(_spent), WithJsonSchema({"enum": list(SPENT)})]
Amount = Annotated[int, BeforeValidator(_amount), WithJsonSchema(ABOVE_0)]
"""Nano-dollars, tokens or calls."""
Floor = Annotated[int | None, BeforeValidator(_amount), WithJsonSchema(ABOVE_0)]
Overrides = Annotated[
    dict[str, int],
    BeforeValidator(_overrides),
    WithJsonSchema({"type": "object", "additionalProperties": ABOVE_0}),
]
"""Values of `by`, joined by /, → their limit."""
Period = Annotated[str | None, BeforeValidator(_period), WithJsonSchema({"enum": list(EVERY_PERIOD)})]
Rolling = Annotated[int | None, BeforeValidator(_rolling), WithJsonSchema(DURATION)]
Idle = Annotated[int | None, BeforeValidator(_idle), WithJsonSchema(DURATION)]
Steps = Annotated[
    tuple[int, ...],
    BeforeValidator(_thresholds),
    WithJsonSchema({"type": "array", "items": SHARE, "minItems": 1, "uniqueItems": True}),
]
"""Shares in 1/10,000, ascending."""
BurnRate = Annotated[
    tuple[Pair, ...] | Literal["default"] | None, BeforeValidator(_burn_rate), WithJsonSchema(_BURN_RATE)
]
"""Pairs of windows; None: off."""
Chance = Annotated[
    int | None, BeforeValidator(_chance), WithJsonSchema({"anyOf": [CHANCE, {"enum": list(_OFF)}]})
]
"""A chance in 1/10,000; None: off."""
Step = Annotated[int | None, BeforeValidator(basis_points), WithJsonSchema(SHARE)]
"""A share in 1/10,000."""
Steering = Annotated[Literal["warn", "block"] | None, BeforeValidator(_verdict)]
"""What gateways do."""
