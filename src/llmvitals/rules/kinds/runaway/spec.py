"""The fields of `runaway:` in a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from llmvitals.errors import Mistakes
from llmvitals.metrics.amount import dollars_nano
from llmvitals.record.view import UNKNOWN
from llmvitals.rules.condition.dimensions import By
from llmvitals.rules.condition.fields import ABOVE_0, Window
from llmvitals.rules.condition.kind import Kind, RequiredData
from llmvitals.rules.condition.screening import Screen
from llmvitals.rules.condition.trailing import Trailing, bucket_length
from llmvitals.rules.kinds.runaway.detector import LEVELS, RunawayDetector
from llmvitals.window import duration_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.record.alert import Unit
    from llmvitals.rules.condition.screening import Windows


class Signatures(BaseModel):
    """Many tool calls of few kinds, as in A → B → A: at least `calls`, of `at_most` different ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    calls: int = Field(ge=2, le=1_000_000, description="The number of tool calls…")
    at_most: int = Field(ge=1, le=20, description="…of at most this many kinds.")


class Runaway(Kind):
    """A session, user or key that spends too much, or calls the same tools over and over.

    It fires when a series reaches any of these limits within the window (24h at most). by: what may run away:
    session, user, key, agent; calls where that is not known are left out. spend: nano-dollars. same_tool: so
    many calls of one tool with the same arguments. signatures: many tool calls of few kinds, where a kind is
    a tool with its arguments. A tool call without known arguments counts in neither.

    Calls in open panes count as well, so it fires within a second or two. It fires again at twice the limit
    (level ×2) and at five times (×5, critical whatever the labels say), once each until it is over: until
    everything is below 95 % of its limit again. value and limit are the spend's if that has a limit, else the
    tool calls'; the note says what happened.
    """

    kind: ClassVar[str] = "runaway"
    eager: ClassVar[bool] = True
    summary: ClassVar[str] = "{series} {note}"
    critical_levels: ClassVar[frozenset[str]] = frozenset((LEVELS[5],))

    by: By = ("session",)
    window: Window = Field("10m", validate_default=True)
    spend: Annotated[int | None, WithJsonSchema(ABOVE_0)] = Field(
        None, description="The dollars spent within the window."
    )
    same_tool: int | None = Field(
        None, ge=2, le=1_000_000, description="The number of calls of one tool with the same arguments."
    )
    signatures: Signatures | None = Field(None, description="Many tool calls of few kinds: a loop.")

    @field_validator("spend", mode="before")
    @classmethod
    def _spend(cls, value: Any) -> int:
        nano = dollars_nano(value)
        if nano <= 0:
            raise ValueError(f"{value} is always reached: write dollars above 0")
        return nano

    @field_validator("signatures", mode="before")
    @classmethod
    def _signatures(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("write {calls: 30, at_most: 3}")  # noqa: TRY004 - pydantic shows a ValueError
        return value

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [{"properties": {"by": {"minItems": 1}}}],
            "anyOf": [{"required": [name]} for name in ("spend", "same_tool", "signatures")],
        }
    )

    @model_validator(mode="after")
    def _whole(self) -> Runaway:
        if self.spend is None and self.same_tool is None and self.signatures is None:
            raise ValueError(
                "write what is too much: spend: 5, same_tool: 20 or signatures: {calls: 30, at_most: 3}"
            )
        if not self.by:
            raise Mistakes({"by": "write who may run away, such as by: [session]"})
        if self.signatures and self.signatures.at_most >= self.signatures.calls:
            why = "at_most has to be well below calls: any calls would match"
            raise Mistakes({("signatures", "at_most"): f"signatures: {why}"})
        return self

    @property
    def metric(self) -> str:
        """The spend if that has a limit, else the tool calls."""
        return "tool_calls" if self.spend is None else "cost"

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return "count" if self.spend is None else "usd"

    @property
    def window_text(self) -> str:
        """The window, as rules write it."""
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> RunawayDetector:
        """The limits of one session, user or key."""
        length = bucket_length(self.window, pane)
        trailing = Trailing(length // pane, self.window // length)
        return RunawayDetector(self, pane, trailing, known=UNKNOWN not in key, tools=self._tools)

    def variant(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """Whether it is known who makes the calls."""
        return (UNKNOWN,) if UNKNOWN in key else ()

    @property
    def _tools(self) -> bool:
        """Whether it reads tool calls."""
        return self.same_tool is not None or self.signatures is not None

    @property
    def required_data(self) -> RequiredData:
        """Money, and tool calls if they have a limit."""
        return RequiredData(("calls", "cost_nano"), tools=self._tools)

    @property
    def screen(self) -> Screen:
        """Windows whose money or tool calls reach the lowest limit."""
        return Screen(self.window, self._may_fire)

    def _may_fire(self, windows: Windows) -> NDArray[np.bool_]:
        found = np.zeros(len(windows.panes), np.bool_)
        if self.spend is not None:
            found |= windows.totals("cost_nano") >= self.spend
        limits = [self.same_tool, self.signatures and self.signatures.calls]
        if least := [limit for limit in limits if limit]:
            tools = windows.entries.tools
            found |= windows.counted(tools.keys, tools.counts) >= min(least)
        return found
