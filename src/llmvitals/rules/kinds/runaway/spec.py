"""Someone who has gone out of control: too much money in a short time, or the same tools over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llmvitals.metrics.amount import dollars_nano
from llmvitals.record.view import UNKNOWN
from llmvitals.rules.condition.scope import Scope, Window
from llmvitals.rules.condition.trailing import Trailing, bucket_length
from llmvitals.rules.kinds.runaway.detector import LEVELS, RunawayDetector
from llmvitals.window import MINUTE, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit


class Signatures(BaseModel):
    """Many tool calls of few kinds, as in A → B → A: at least `calls`, of `at_most` different ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    calls: int = Field(ge=2, le=1_000_000)
    at_most: int = Field(ge=1, le=20)


class Runaway(Scope):
    """`runaway:` of a rule. It fires when a series reaches any of these within the window.

    by: what may run away: session, user, key, agent; of calls where that is not known nothing is said.
    window: 24h at most. spend: dollars (here: nano-dollars). same_tool: so many calls of one tool with the
    same arguments. signatures: many tool calls of few kinds, a kind being a tool and its arguments. A tool
    call without known arguments counts in neither.

    Calls that are not closed count as well, so it is heard within a second or two. It speaks again at twice
    (level ×2) and five times (×5, critical whatever the labels say) of the limit, once each until it is over:
    until everything is below 95 % of its limit again. value and limit are of the spend where that is limited,
    else of the tool calls; the note says what happened.
    """

    kind: ClassVar[str] = "runaway"
    eager: ClassVar[bool] = True
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "{series} {note}"
    grave: ClassVar[frozenset[str]] = frozenset((LEVELS[5],))

    by: tuple[str, ...] = Field(("session",), max_length=4)
    window: Window = 10 * MINUTE
    spend: int | None = None
    same_tool: int | None = Field(None, ge=2, le=1_000_000)
    signatures: Signatures | None = None

    @field_validator("spend", mode="before")
    @classmethod
    def _spend(cls, value: Any) -> int:
        nano = dollars_nano(value)
        if nano <= 0:
            raise ValueError(f"{value} would always be reached: write dollars above 0")
        return nano

    @field_validator("signatures", mode="before")
    @classmethod
    def _signatures(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("write {calls: 30, at_most: 3}")  # noqa: TRY004 - pydantic tells a ValueError
        return value

    @model_validator(mode="after")
    def _whole(self) -> Runaway:
        if self.spend is None and self.same_tool is None and self.signatures is None:
            raise ValueError(
                "write what is too much: spend: 5, same_tool: 20 or signatures: {calls: 30, at_most: 3}"
            )
        if not self.by:
            raise ValueError("write who may run away, such as by: [session]")
        if self.signatures and self.signatures.at_most >= self.signatures.calls:
            raise ValueError("signatures: any calls are of so few kinds: write at_most well below calls")
        return self

    @property
    def metric(self) -> str:
        """What value and limit are of."""
        return "tool_calls" if self.spend is None else "cost"

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return "count" if self.spend is None else "usd"

    @property
    def window_text(self) -> str:
        """The window as one writes it."""
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> RunawayDetector:
        """The logic for one series, whose values of `by` are key; pane in µs."""
        length = bucket_length(self.window, pane)
        trailing = Trailing(length // pane, self.window // length)
        tools = self.same_tool is not None or self.signatures is not None
        return RunawayDetector(self, pane, trailing, known=UNKNOWN not in key, tools=tools)
