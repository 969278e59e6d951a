"""What a rule learns from past calls: the worker's own stages over a span of time, with that rule only.

The calls are gone through twice: first to see how many minutes of each series hold calls, then to learn in
just so many. So a reference is of the whole span, however short that is and however quiet the series was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmvitals.errors import ConfigError
from llmvitals.merge.plan import NoRules
from llmvitals.pipeline import Pipeline
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.record.log import Record
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.training import Baseline, Training
    from llmvitals.rules.engine import RuleEngine
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

    Series = tuple[str, ...]


def learning_rule(watch: RuleEngine, name: str) -> tuple[Rule, Training]:
    """The rule of that name, and how it learns. Raises ConfigError that names the rules that learn."""
    found: dict[str, tuple[Rule, Training]] = {}
    for rule in watch.rules.rules:
        if training := rule.condition.training:
            found[rule.name] = rule, training
    if name not in found:
        kinds = " or ".join(sorted({rule.condition.kind for rule, _ in found.values()})) or "drift"
        raise ConfigError(
            f"there is no {kinds} rule {name!r}: "
            + (f"there are {', '.join(sorted(found))}" if found else "no rule learns a baseline")
        )
    return found[name]


@dataclass(frozen=True, slots=True)
class Learned:
    """What one series has learned. minutes: those with calls.

    memory, baseline: None where the series had too few of them.
    """

    series: Series
    minutes: int
    memory: bytes | None
    baseline: Baseline | None


class Class(NoRules):
    """The rule's detector at every series. lengths: how many minutes each learns; none: it only counts."""

    def __init__(
        self,
        rule: Rule,
        training: Training,
        pane: int,
        span: tuple[int, int],
        *,
        lengths: Mapping[Series, int] | None = None,
    ) -> None:
        self.states: dict[Series, dict[str, Any]] = {}
        self._rule, self._training, self._pane, self._lengths = rule, training, pane, lengths
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
        longest = self._training.longest // MINUTE
        minutes = longest if self._lengths is None else self._lengths.get(series, 0)
        detector = self._training.detector(self._pane, minutes)
        seen = self.states.setdefault(series, {})
        for pane, vitals in closed:
            if minutes and self._low <= pane < self._high and self._training.learned(seen) is None:
                while (wake := detector.wakes(seen)) < pane:
                    detector.take(seen, wake, None)
                detector.take(seen, pane, vitals)
        return []


class BaselineTraining:
    """Calls of some partitions through combine and merge, and one rule at the end (a past_calls.Fed).

    sources: topic → its partitions. span: event time, µs.
    """

    def __init__(
        self, settings: Settings, watch: RuleEngine, taught: Class, sources: Mapping[str, int]
    ) -> None:
        own = settings.model_copy(update={"default_views": False, "views": ()})
        pipeline = Pipeline.of(own, 1, [*sources], watch=watch)
        self._alone = replace(pipeline, merge=replace(pipeline.merge, rules=taught)).alone(sources)
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


def learn(
    settings: Settings, watch: RuleEngine, rule: Rule, *, span: tuple[int, int], sources: Mapping[str, int]
) -> Iterator[BaselineTraining]:
    """The two lessons that it takes: each is to be fed with all calls before the next is asked for.

    `learned` of the second one is the result. span: event time, µs.
    """
    _, training = learning_rule(watch, rule.name)
    counted = Class(rule, training, watch.pane, span)
    yield BaselineTraining(settings, watch, counted, sources)
    minutes = {series: training.minutes(state) for series, state in counted.states.items()}
    lengths = {series: training.fitting(number) for series, number in minutes.items()}
    taught = Class(rule, training, watch.pane, span, lengths=lengths)
    lesson = BaselineTraining(settings, watch, taught, sources)
    yield lesson
    memories = {series: training.learned(taught.states.get(series, {})) for series in minutes}
    lesson.learned = [
        Learned(series, minutes[series], memory, training.describe(memory) if memory else None)
        for series, memory in sorted(memories.items(), key=lambda entry: entry[0])
    ]
