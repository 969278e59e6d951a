"""The base of all kinds of conditions, and what a kind says of itself: the data it reads, its limit."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from llmvitals.record.vitals import TOPS
from llmvitals.rules.condition.dimensions import By, Where
from llmvitals.sketch.counters import MAXIMA, SUMS
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llmvitals.errors import Spot
    from llmvitals.metrics.metric import Metric
    from llmvitals.record.alert import Bound, Unit
    from llmvitals.record.reading import NoData, Reading, Stand
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.detector import Detector, Training
    from llmvitals.rules.condition.power import Power, Traffic
    from llmvitals.rules.condition.screening import Screen

Late = Literal["ignored", "apart", "counted"]
"""Late calls are not seen by a detector; or seen in Vitals.late; or counted as if they had been on time."""


def named(metric: str) -> str:
    """A metric's name as text in a template. Braces are escaped, because a score's name may contain them."""
    return metric.replace("_", " ").replace("{", "{{").replace("}", "}}")


class FixedLimit(NamedTuple):
    """A limit on a metric. limit: in the metric's unit. above: whether values above it breach, else below it.

    window: µs. min_calls: the calls that the window needs.
    """

    metric: str
    limit: float
    above: bool
    window: int
    min_calls: int


@dataclass(frozen=True, slots=True)
class RequiredData:
    """The sums, maxima and sketches that are read.

    sums, tops: names in counters.SUMS and counters.MAXIMA. sketches: names. tools: whether tools are read.
    """

    sums: tuple[str, ...]
    tops: tuple[str, ...] = ()
    sketches: tuple[str, ...] = ()
    tools: bool = False

    @classmethod
    def of(cls, metric: Metric) -> RequiredData:
        """The data of a metric."""
        names = ("calls", metric.counted, *metric.over, *metric.less, metric.under)
        sums = tuple(dict.fromkeys(name for name in names if name in SUMS))
        top = metric.top or (TOPS[metric.sketch][0] if metric.sketch in TOPS else "")
        return cls(sums, (top,) if top else (), (metric.sketch,) if metric.sketch else ())

    @classmethod
    def all_sums(cls, sketches: Iterable[str]) -> RequiredData:
        """All sums and maxima, and the sketches that are named; "" names none."""
        return cls(SUMS, MAXIMA, tuple(dict.fromkeys(filter(None, sketches))))

    @classmethod
    def joined(cls, several: Iterable[RequiredData]) -> RequiredData:
        """The union."""
        several = list(several)
        return cls(
            tuple(dict.fromkeys(name for needs in several for name in needs.sums)),
            tuple(dict.fromkeys(name for needs in several for name in needs.tops)),
            tuple(dict.fromkeys(name for needs in several for name in needs.sketches)),
            tools=any(needs.tools for needs in several),
        )


class Kind(BaseModel):
    """A kind of condition: the model of the fields under its key in a rule.

    The first line of a kind's docstring describes it in the JSON Schema and in the documentation.

    kind: its key. eager: whether it reads panes that are still open. lasting: whether a rule may have `for`,
    `keep_firing_for` and `no_data`. no_data, severity: the defaults. critical_levels: levels at which an
    alert is critical whatever its rule says, and that it keeps until it resolves. facets: facet (see Alert) →
    the summary of its alerts. bound: what the limit of its alerts is. meaning: whether it reads the sums of
    embeddings. by_minute: whether it reads whole minutes, so that it does not matter how their calls are
    spread over panes. measurement: that of its points, "" without points.
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
    by_minute: ClassVar[bool] = False
    measurement: ClassVar[str] = ""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    by: By = ()
    where: Where = ()

    if TYPE_CHECKING:  # A field in some kinds, and pydantic lets no field shadow a property.

        @property
        @abstractmethod
        def metric(self) -> str:
            """The metric, or statistic of the detector, of value and limit."""

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """The unit of value and limit."""

    @property
    @abstractmethod
    def window_text(self) -> str:
        """The time span that it reads, as rules write it."""

    @abstractmethod
    def detector(self, pane: int, key: tuple[str, ...]) -> Detector:
        """The logic for the series whose values of `by` are key; pane in µs. key: see `variant`."""

    def variant(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """The part of a key that the detector depends on; by default all series share one detector.

        `detector` is called with it, once for the series that have it in common. It must have few values.
        """
        del key
        return ()

    @property
    def summary(self) -> str:
        """The template of the summary for rules without one."""
        return f"{named(self.metric)} is {{value}}, the limit is {{limit}}: {{series}}"

    @property
    def arm(self) -> str:
        """The dimension whose values are compared with each other, not one of `by`; "" for none."""
        return ""

    @property
    def steers(self) -> bool:
        """Whether its alerts tell gateways to warn or to block."""
        return False

    @property
    def warnings(self) -> Mapping[Spot, str]:
        """What is allowed, but most likely not meant: field, or place in it → why, and what to write."""
        return {}

    @property
    def late(self) -> Late:
        """How it reads late calls, which tell nothing of the present: see Late."""
        return "ignored"

    def counted(self, vitals: Vitals) -> Vitals | None:
        """What its detector reads of a pane with calls; None if it reads nothing of it."""
        if not vitals.late or self.late == "apart":
            return vitals
        if self.late == "counted":
            return vitals.whole()
        return vitals if vitals.on_time else None

    def stands(self, reading: Reading) -> Sequence[Stand]:
        """The points of a reading."""
        return reading.stands

    def adopt(self, state: dict[str, Any], memory: bytes | None) -> bool:
        """Put a baseline that was learned elsewhere into a detector's state; None: learn anew.

        Returns False if this kind learns nothing. Raises ValueError if the memory is not a baseline of it.
        """
        del state, memory
        return False

    @property
    def remembers(self) -> bool:
        """Whether its detector has a state for good once the series has had a call."""
        return False

    @property
    def required_data(self) -> RequiredData | None:
        """The sums that it reads; None if it also reads embeddings, arms or scores."""
        return None

    def power(self, traffic: Traffic) -> Sequence[Power]:
        """The smallest changes that it would find in the traffic of a series; () if that can't be said."""
        del traffic
        return ()

    def grain(self, pane: int) -> int:
        """How many aligned panes a backtest may join into the last of them while nothing fires.

        1: none. pane: µs.
        """
        return MINUTE // pane if self.by_minute else 1

    @property
    def screen(self) -> Screen | None:
        """Finds windows in which it may fire, for a backtest; None: the detector reads every series."""
        return None

    @property
    def training(self) -> Training | None:
        """Learns a baseline from past calls; None if it has no baseline."""
        return None

    @property
    def fixed_limit(self) -> FixedLimit | None:
        """The limit that a report compares with stored values; None if there is none."""
        return None
