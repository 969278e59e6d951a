"""The fields of `drift:` in a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from llmvitals.metrics.columns import DRIFT
from llmvitals.rules.condition.false_alarms import AUTO, FalseAlarms, SeriesOrAuto
from llmvitals.rules.condition.fields import DURATION
from llmvitals.rules.condition.kind import Kind
from llmvitals.rules.kinds.drift.baseline import DriftTraining, adopted
from llmvitals.rules.kinds.drift.detector import DriftDetector
from llmvitals.stats.hotelling import SPANS
from llmvitals.window import DAY, HOUR, MINUTE, duration, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

SHORTEST: Final = HOUR
LONGEST: Final = 28 * DAY


def _learn(value: Any) -> int:
    length = duration(value)
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"{value} is not a valid time to learn: write 1h to 4w, such as 2d")
    return length


class Drift(Kind):
    """Calls whose content has changed, by their embeddings.

    model: the embedding model ("text-embedding-3-small", or a space "text-embedding-3-small/1536"); by
    default the first one with enough calls. learn: the event time (µs) that the reference is learned from, 1h
    to 4w; with fewer than four calls a minute up to 3.5 times as long. min_calls: the embeddings of a step;
    minutes with fewer are joined. false_alarms: in a month, in all of `series` series together.
    """

    kind: ClassVar[str] = "drift"
    lasting: ClassVar[bool] = True
    summary: ClassVar[str] = "The content of calls has changed: {series} ({note})"
    meaning: ClassVar[bool] = True
    measurement: ClassVar[str] = DRIFT

    model: str = Field(
        "",
        max_length=200,
        description="The embedding model; default: the first one with enough calls.",
        examples=["text-embedding-3-small"],
    )
    learn: Annotated[int, BeforeValidator(_learn), WithJsonSchema(DURATION)] = Field(
        "2d",
        validate_default=True,
        description="The time that it learns from; longer if there are few calls; 1h to 4w.",
    )
    min_calls: int = Field(
        10,
        ge=2,
        le=1_000_000,
        description="The least embeddings of a step; minutes with fewer are joined.",
    )
    false_alarms: FalseAlarms = 1
    series: SeriesOrAuto = AUTO

    @property
    def metric(self) -> str:
        """How far the embeddings are from the reference."""
        return "drift"

    @property
    def unit(self) -> Unit:
        """A number; 1 is the limit."""
        return "score"

    @property
    def window_text(self) -> str:
        """The longest span that is compared."""
        return duration_text(SPANS[-1] * MINUTE)

    def adopt(self, state: dict[str, Any], memory: bytes | None) -> bool:
        """memory: a packed Reference."""
        adopted(state, memory)
        return True

    def detector(self, pane: int, key: tuple[str, ...]) -> DriftDetector:
        """It is the same for each series."""
        del key
        return DriftDetector(self, pane)

    @property
    def training(self) -> DriftTraining:
        """It learns a reference of embeddings."""
        return DriftTraining(
            lambda pane, learn: DriftDetector(self.model_copy(update={"learn": learn}), pane, patient=False)
        )
