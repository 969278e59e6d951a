"""The fields of `absence:` in a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from llmvitals.errors import suggestion
from llmvitals.rules.condition.fields import MinCalls, Window
from llmvitals.rules.condition.kind import Kind, RequiredData
from llmvitals.rules.kinds.absence.detector import AbsenceDetector
from llmvitals.window import MINUTE, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

EXPECTED: Final = ("seasonal", "always")


class Absence(Kind):
    """Expected calls that are missing.

    It fires when a series that had calls has had none for the whole window (µs). expect: `seasonal` (the
    default) fires only where calls were expected: by the median of the same hour of up to four past weeks;
    until there is a week, of the same hour of the days before, weekdays and weekend days apart; on the first
    day by the rate of the emptiest hour before the calls stopped, for the length of the window. `always` uses
    that rate alone. min_calls: the least number of calls that were expected since the last one, in a day at
    most; more are needed if the past pauses of the series show that its calls come in groups.

    No calls are expected in an hour whose neighbours had none in the past. A series without any call so far
    is never absent. After one more day without calls the alert resolves with a note.
    """

    kind: ClassVar[str] = "absence"
    summary: ClassVar[str] = "No calls for {value}: {series} ({note})"

    window: Window = Field(
        "15m", validate_default=True, description="How long there have to be no calls; at most 24h."
    )
    expect: Literal["seasonal", "always"] = Field(
        "seasonal",
        description="seasonal: only where past weeks had calls at this hour; "
        "always: by the rate of calls before.",
    )
    min_calls: MinCalls = Field(10, description="The least number of expected calls since the last one.")

    @field_validator("by", mode="after")
    @classmethod
    def _lasting(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "session" in value:
            raise ValueError("the calls of every session stop: write another dimension, such as [app]")
        return value

    @field_validator("expect", mode="before")
    @classmethod
    def _expect(cls, value: Any) -> str:
        if value not in EXPECTED:
            raise ValueError(f"{value!r} is not a way to expect calls{suggestion(str(value), EXPECTED)}")
        return str(value)

    @property
    def metric(self) -> str:
        """The time since the last call."""
        return "silence"

    @property
    def unit(self) -> Unit:
        """The time is in ms."""
        return "ms"

    @property
    def window_text(self) -> str:
        """The window, as rules write it."""
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> AbsenceDetector:
        """It is the same for each series."""
        del key
        return AbsenceDetector(self, pane)

    @property
    def required_data(self) -> RequiredData:
        """Numbers of calls."""
        return RequiredData(("calls",))

    def grain(self, pane: int) -> int:
        """A minute, if the window is not shorter."""
        return MINUTE // pane if self.window >= MINUTE else 1
