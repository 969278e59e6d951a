"""What a drift rule learns from past calls: the worker's own stages over a span of time, with that rule only.

The calls are gone through twice: first to see how many minutes of each series hold calls, then to learn in
just so many. So a reference is of the whole span, however short that is and however quiet the series was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from llmvitals.errors import ConfigError
from llmvitals.merge.plan import NoWatch
from llmvitals.pipeline import Pipeline
from llmvitals.rules.kinds.drift.reference import unpacked
from llmvitals.rules.kinds.drift.spec import Drift, reference_of
from llmvitals.rules.kinds.drift.training import FEWEST, Learner
from llmvitals.window import DAY, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.record.log import Record
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.engine import Watch
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

    Series = tuple[str, ...]

LONGEST: Final = 56 * DAY
"""The half of it, in which minutes are counted, is the longest span."""
_SHARE: Final = 0.95
"""Of the minutes with calls: a step may take several, and the last one is not filled."""


def drift_rule(watch: Watch, name: str) -> Rule:
    """The drift rule of that name. Raises ConfigError that names those that there are."""
    rules = [rule for rule in watch.rules.rules if isinstance(rule.condition, Drift)]
    found = next((rule for rule in rules if rule.name == name), None)
    if found is None:
        there = ", ".join(sorted(rule.name for rule in rules))
        raise ConfigError(
            f"there is no drift rule {name!r}: "
            + (f"there are {there}" if there else "no rule is of kind drift")
        )
    return found


@dataclass(frozen=True, slots=True)
class Learned:
    """What one series has learned. reference: None where it had too little. minutes: those with calls."""

    series: Series
    minutes: int
    reference: bytes | None

    @property
    def calls(self) -> int:
        """How many calls the reference is of."""
        return unpacked(self.reference).calls if self.reference else 0

    @property
    def overdispersion(self) -> float | None:
        """How much further minutes are from each other than if their calls were independent."""
        return unpacked(self.reference).overdispersion if self.reference else None


class Class(NoWatch):
    """The rule's detector at every series. lengths: how many minutes each learns; none: it only counts."""

    def __init__(
        self, rule: Rule, pane: int, span: tuple[int, int], lengths: Mapping[Series, int] | None
    ) -> None:
        self.states: dict[Series, dict[str, Any]] = {}
        self._rule, self._pane, self._lengths = rule, pane, lengths
        self._condition = cast("Drift", rule.condition)
        self._low, self._high = (time // pane for time in span)

    def watches(self, view: str) -> bool:
        """Only the rule's own."""
        return view == self._rule.view

    def advance(  # type: ignore[override]  # as merge's Watch has it
        self, view: str, series: Series, state: dict[str, Any], **step: Any
    ) -> list[Any]:
        """Learn; nothing is said."""
        del view, state
        closed: Sequence[tuple[int, Vitals]] = step["closed"]
        length = LONGEST if self._lengths is None else self._lengths.get(series, 0) * MINUTE
        detector = self._condition.model_copy(update={"learn": length}).detector(self._pane, ())
        seen = self.states.setdefault(series, {})
        for pane, vitals in closed:
            if length and self._low <= pane < self._high and reference_of(seen) is None:
                while (wake := detector.wakes(seen)) < pane:
                    detector.take(seen, wake, None)
                detector.take(seen, pane, vitals)
        return []


class Lesson:
    """Calls of some partitions through combine and merge, and one rule at the end (a past_calls.Fed).

    sources: topic → its partitions. span: event time, µs.
    """

    def __init__(self, settings: Settings, watch: Watch, taught: Class, sources: Mapping[str, int]) -> None:
        own = settings.model_copy(update={"default_views": False, "views": ()})
        pipeline = Pipeline.of(own, 1, [*sources], watch=watch)
        self._alone = replace(pipeline, merge=replace(pipeline.merge, watch=taught)).alone(sources)
        self.calls = 0
        self.learned: Sequence[Learned] = ()
        self._ended = 0

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Calls of one partition, in the order of its log."""
        self.calls += len(records)
        self._alone.feed(topic, partition, records)

    def end(self, topic: str, partition: int) -> None:
        """Nothing more comes from this partition."""
        self._alone.end(topic, partition)
        self._ended += 1
        if self._ended == len(self._alone.combines):
            self._alone.merge.finish()

    def reached(self, topic: str, partition: int) -> int:
        """Event time that this partition has come to, µs; window.NEVER at first."""
        return self._alone.combines[topic, partition].watermark


def fitting(minutes: int) -> int:
    """The longest time to learn in that ends within so many minutes with calls, 0 for none."""
    there = int(minutes * _SHARE)
    return next((length for length in range(there, 0, -1) if _taken(length) <= there), 0)


def _taken(length: int) -> int:
    return sum(max(part, FEWEST) for part in Learner(length).lengths)


def learn(
    settings: Settings, watch: Watch, rule: Rule, *, span: tuple[int, int], sources: Mapping[str, int]
) -> Iterator[Lesson]:
    """The two lessons that it takes: each is to be fed with all calls before the next is asked for.

    The second one's `learned` is what there is to know. span: event time, µs.
    """
    counted = Class(rule, watch.pane, span, None)
    yield Lesson(settings, watch, counted, sources)
    minutes = {
        series: state.get("learning", {}).get("minutes", 0) for series, state in counted.states.items()
    }
    taught = Class(rule, watch.pane, span, {series: fitting(n) for series, n in minutes.items()})
    lesson = Lesson(settings, watch, taught, sources)
    yield lesson
    lesson.learned = [
        Learned(series, minutes[series], reference_of(taught.states.get(series, {})))
        for series in sorted(minutes)
    ]
