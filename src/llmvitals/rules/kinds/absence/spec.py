"""Calls that should be there and are not: a silence, judged by the same hours of past weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from llmvitals.errors import suggestion
from llmvitals.rules.condition.scope import Scope, Window
from llmvitals.rules.kinds.absence.detector import AbsenceDetector
from llmvitals.window import MINUTE, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

EXPECTED: Final = ("seasonal", "always")


class Absence(Scope):
    """`absence:` of a rule. It fires when a series that had calls has had none for the whole window.

    window: how long the silence has to be, 24h at most. expect: `seasonal` (the default) fires only where
    calls were to be expected: the median of the same hour of up to four past weeks, or, until there is a
    week, of the same hour of the days before, or on the first day of the pace of the hour before the silence.
    `always` goes by that pace alone. min_calls: how many calls the silent window should have held at least.

    An hour in which calls begin or end is not expected to hold any: where its neighbours were empty, so may
    it be. A series that was never seen can't be missed: nothing knows of it. A series that stays away for a
    day longer is not waited for any more: its alert resolves, and says so.
    """

    kind: ClassVar[str] = "absence"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "No calls for {value}: {series} ({note})"

    window: Window = 15 * MINUTE
    expect: Literal["seasonal", "always"] = "seasonal"
    min_calls: int = Field(10, ge=1, le=1_000_000)

    @field_validator("by", mode="after")
    @classmethod
    def _lasting(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "session" in value:
            raise ValueError("every session ends, and none is missed: write another dimension, such as [app]")
        return value

    @field_validator("expect", mode="before")
    @classmethod
    def _expect(cls, value: Any) -> str:
        if value not in EXPECTED:
            raise ValueError(f"{value!r} is no way to expect calls{suggestion(str(value), EXPECTED)}")
        return str(value)

    @property
    def metric(self) -> str:
        """What is measured."""
        return "silence"

    @property
    def unit(self) -> Unit:
        """A silence is long in ms."""
        return "ms"

    @property
    def window_text(self) -> str:
        """The window as one writes it."""
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> AbsenceDetector:
        """The logic for one series; pane in µs."""
        del key
        return AbsenceDetector(self, pane)
