# pydantic tells a ValueError to the user, and passes a TypeError on
"""A provider that fails: the share of its calls that end in an error, minor or major."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from llmvitals.metrics.amount import limit
from llmvitals.metrics.registry import METRICS
from llmvitals.record.reading import Reading
from llmvitals.record.view import UNKNOWN, Condition
from llmvitals.rules.condition.scope import Scope, Window, condition
from llmvitals.rules.condition.statistic import Statistic
from llmvitals.window import MINUTE, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import NoData

MINOR: Final = "minor"
MAJOR: Final = "major"
SHARE: Final = METRICS["error_share"]


class Outage(Scope):
    """`outage:` of a rule. One alert with two levels; at "major" it is critical, whatever its labels say.

    minor, major: the share of failed calls from which on it is one. resolve_below: where the alert is
    released, by default half of minor; until then an outage that was major stays so. min_calls: of the
    window. errors: the error_types that are the provider's fault (a value, a list, {not: …} or {regex: …});
    a call with any other doesn't count at all, as one that failed without a type does.
    no_data is keep by default: callers turn away from a provider that is down, so few calls are no sign that
    it is well.
    """

    kind: ClassVar[str] = "outage"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "{value} of the calls within {window} failed ({level} outage): {series}"
    grave: ClassVar[frozenset[str]] = frozenset((MAJOR,))
    silence: ClassVar[NoData] = "keep"

    by: tuple[str, ...] = Field(("provider",), max_length=4)
    window: Window = MINUTE
    minor: float = 0.2
    major: float = 0.6
    resolve_below: float | None = None
    min_calls: int = Field(10, ge=1, le=1_000_000)
    errors: Condition | None = None

    @field_validator("minor", "major", "resolve_below", mode="before")
    @classmethod
    def _share(cls, value: Any) -> float:
        share = limit(value, "share")
        if not share:
            raise ValueError("0% is always reached: write a greater share, such as 20%")
        return share

    @field_validator("errors", mode="before")
    @classmethod
    def _errors(cls, value: Any) -> Condition:
        wanted = condition("errors", value)
        # A call that went well has no error_type, and has to count.
        if wanted.accepts(UNKNOWN):
            return wanted
        if wanted.negate:
            raise ValueError(f"this leaves out {UNKNOWN}, and so the calls that went well: name the errors")
        regex = None if wanted.regex is None else f"(?:{wanted.regex})|{UNKNOWN}"
        return Condition(wanted.values | {UNKNOWN} if wanted.values else frozenset(), regex)

    @model_validator(mode="after")
    def _whole(self) -> Outage:
        for name, _ in self.where:
            if name in ("error_type", "status"):
                raise ValueError(
                    f"{name} in where would leave out the calls that went well: write errors: [Timeout, …]"
                )
        if self.minor >= self.major:
            raise ValueError("minor has to be the lesser share: write such as minor: 20%, major: 60%")
        if self.resolve_below is not None and self.resolve_below > self.minor:
            raise ValueError("resolve_below lies above minor: write a lower share")
        if self.errors is not None:
            where = tuple(sorted((*self.where, ("error_type", self.errors)), key=lambda pair: pair[0]))
            object.__setattr__(self, "where", where)
        return self

    @property
    def metric(self) -> str:
        """What it reads."""
        return "error_share"

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return SHARE.unit

    @property
    def window_text(self) -> str:
        """The window as one writes it."""
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> Statistic:
        """The logic for one series; pane in µs."""
        del key
        return Statistic.over(self, SHARE, pane, few=self.min_calls)

    def judged(self, at: int, value: float) -> Reading:
        """What a share of errors means."""
        if value >= self.major:
            return Reading(at, "breach", value, self.major, MAJOR)
        if value >= self.minor:
            return Reading(at, "breach", value, self.minor, MINOR)
        release = self.minor / 2 if self.resolve_below is None else self.resolve_below
        return Reading(at, "clear" if value <= release else "hold", value, self.minor)
