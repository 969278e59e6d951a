"""The base of all kinds of conditions."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from llmvitals.rules.condition.dimensions import By, Where
from llmvitals.rules.condition.sentences import named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.alert import Bound, Unit
    from llmvitals.record.reading import NoData, Reading, Stand
    from llmvitals.rules.condition.detector import Detector
    from llmvitals.rules.condition.fixed_limit import FixedLimit
    from llmvitals.rules.condition.required_data import RequiredData
    from llmvitals.rules.condition.screening import Screen
    from llmvitals.rules.condition.training import Training


class Kind(BaseModel):
    """A kind of condition: the model of what stands under its key in a rule.

    The first line of a kind's docstring describes it in the JSON Schema and in the documentation.

    kind: its key. eager: whether it reads panes that are still open. lasting: whether a rule may have `for`,
    `keep_firing_for` and `no_data`; no_data: what the latter is by default. severity: what the severity is by
    default. critical_levels: levels at which an alert is critical whatever its rule says, and that it keeps
    to its end. facets: facet (see Alert) → the summary of its alerts. bound: what the limit of its alerts is.
    meaning: whether it reads the sums of embeddings. measurement: that of its points, "" if it has none.
    """

    kind: ClassVar[str]
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    no_data: ClassVar[NoData] = "ok"
    severity: ClassVar[str] = "warning"
    critical_levels: ClassVar[frozenset[str]] = frozenset()
    facets: ClassVar[Mapping[str, str]] = {}
    bound: ClassVar[Bound] = "limit"
    meaning: ClassVar[bool] = False
    measurement: ClassVar[str] = ""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    by: By = ()
    where: Where = ()

    if TYPE_CHECKING:  # A field in some kinds, and pydantic lets no field shadow a property.

        @property
        @abstractmethod
        def metric(self) -> str:
            """What value and limit are of: a metric, or a statistic of the detector."""

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """The unit of value and limit."""

    @property
    @abstractmethod
    def window_text(self) -> str:
        """The time that it looks at, as rules write it."""

    @abstractmethod
    def detector(self, pane: int, key: tuple[str, ...]) -> Detector:
        """The logic for the series whose values of `by` are key; pane in µs."""

    @property
    def summary(self) -> str:
        """The template of an alert's summary for a rule that has none."""
        return f"{named(self.metric)} is {{value}}, the limit is {{limit}}: {{series}}"

    @property
    def arm(self) -> str:
        """The dimension whose values are compared with each other, "" for none; it is not among `by`."""
        return ""

    @property
    def steers(self) -> bool:
        """Whether its alerts tell gateways to warn or to block."""
        return False

    def stands(self, reading: Reading) -> Sequence[Stand]:
        """What points say of a reading."""
        return reading.stands

    def adopt(self, state: dict[str, Any], memory: bytes | None) -> bool:
        """Give a detector's state a baseline that was learned elsewhere; None: it learns anew.

        False where this kind learns nothing. Raises ValueError where the memory is no baseline of this kind.
        """
        del state, memory
        return False

    @property
    def required_data(self) -> RequiredData | None:
        """What it reads of the calls; None if it also reads embeddings, arms or scores."""
        return None

    def grain(self, pane: int) -> int:
        """How many aligned panes a backtest may pass as one (in the last of them) as long as nothing fires.

        1: none. pane: µs.
        """
        del pane
        return 1

    @property
    def screen(self) -> Screen | None:
        """When it may fire, for a backtest; None if any series has to be passed to the detector."""
        return None

    @property
    def training(self) -> Training | None:
        """How it learns a baseline from past calls; None if it learns none."""
        return None

    @property
    def fixed_limit(self) -> FixedLimit | None:
        """The limit that a report compares with the stored past; None if there is no such limit."""
        return None
