"""Calls that are about something else than they were: the embeddings of a series against their reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field

from llmvitals.metrics.columns import DRIFT
from llmvitals.rules.condition.false_alarms import FalseAlarms, Series
from llmvitals.rules.condition.scope import Scope
from llmvitals.rules.kinds.drift.detector import DriftDetector
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.stats.hotelling import SPANS
from llmvitals.window import DAY, HOUR, MINUTE, duration, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

SHORTEST: Final = HOUR
LONGEST: Final = 28 * DAY


def _learn(value: Any) -> int:
    length = duration(value)
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"{value} is no time to learn: write 1h to 4w, such as 2d")
    return length


class Drift(Scope):
    """`drift:` of a rule. It fires when what calls mean is no longer what it was when it was learned.

    model: whose embeddings to read ("text-embedding-3-small", or a space "text-embedding-3-small/1536");
    by default the first that has enough calls. learn: how many minutes with calls the reference takes (1h to
    4w). min_calls: vectors that are looked at at once: minutes with fewer are put together.
    false_alarms: a month, over all of `series` series (see detect/promise).
    """

    kind: ClassVar[str] = "drift"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "Calls are not what they were: {series} ({note})"
    meaning: ClassVar[bool] = True
    measurement: ClassVar[str] = DRIFT

    model: str = Field("", max_length=200)
    learn: Annotated[int, BeforeValidator(_learn)] = 2 * DAY
    min_calls: int = Field(10, ge=2, le=1_000_000)
    false_alarms: FalseAlarms = 1
    series: Series = 100

    @property
    def metric(self) -> str:
        """What is measured."""
        return "drift"

    @property
    def unit(self) -> Unit:
        """1 is the limit."""
        return "score"

    @property
    def window_text(self) -> str:
        """The longest span that is looked at."""
        return duration_text(SPANS[-1] * MINUTE)

    def adopt(self, state: dict[str, Any], memory: bytes | None) -> bool:
        """See Scope; memory: a reference."""
        adopted(state, memory)
        return True

    def detector(self, pane: int, key: tuple[str, ...]) -> DriftDetector:
        """The logic for one series; pane in µs."""
        del key
        return DriftDetector(self, pane)


def reference_of(state: dict[str, Any]) -> bytes | None:
    """The reference in a detector's state, to be kept or given to another; None while it learns."""
    reference: bytes | None = state.get("reference")
    return reference


def adopted(state: dict[str, Any], reference: bytes | None) -> None:
    """Give a detector's state a reference in place of what it has or learns; None: learn anew from here.

    What it heard of late is forgotten, so the next reading is the first against this reference.
    Raises ValueError where the bytes are no reference; the state is as it was then.
    """
    space = unpacked(reference).space if reference is not None else ""
    heard = state.get("heard", 0)
    state.clear()
    if reference is not None:
        state.update(reference=reference, space=space, heard=heard)
