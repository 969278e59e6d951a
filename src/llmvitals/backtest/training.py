"""Trains the baseline of a rule on past calls, with the worker's own stages and that rule only.

It reads the calls twice: first to count the minutes with calls of each series, then to learn for exactly that
long. So a baseline covers the whole span, even if the span is short or the series has few calls.
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
    from llmvitals.rules.condition.detector import Baseline, Training
    from llmvitals.rules.engine import RuleEngine
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

    Series = tuple[str, ...]


def learning_rule(engine: RuleEngine, name: str) -> tuple[Rule, Training]:
    """The rule of that name, and its training. Raises ConfigError if it learns no baseline."""
    candidates: dict[str, tuple[Rule, Training]] = {}
    for rule in engine.rules.rules:
        if training := rule.condition.training:
            candidates[rule.name] = rule, training
    if name not in candidates:
        kinds = " or ".join(sorted({rule.condition.kind for rule, _ in candidates.values()})) or "drift"
        raise ConfigError(
            f"there is no {kinds} rule {name!r}: "
            + (f"there are {', '.join(sorted(candidates))}" if candidates else "no rule learns a baseline")
        )
    return candidates[name]


@dataclass(frozen=True, slots=True)
class Learned:
    """The baseline of one series. minutes: those with calls.

    memory, baseline: None if the series had too few of them.
    """

    series: Series
    minutes: int
    memory: bytes | None
    baseline: Baseline | None


class _Learning(NoRules):
    """Feeds the rule's detector for each series. lengths: minutes to learn for; None: only count them."""

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

    def reads(self, view: str) -> bool:
        """Only the rule's own view."""
        return view == self._rule.view

    def advance(  # type: ignore[override]  # fewer parameters than merge.plan.Rules
        self, view: str, series: Series, state: dict[str, Any], **step: Any
    ) -> list[Any]:
        """Learn; returns nothing."""
        del view, state
        closed: Sequence[tuple[int, Vitals]] = step["closed"]
        longest = self._training.longest // MINUTE
        minutes = longest if self._lengths is None else self._lengths.get(series, 0)
        detector = self._training.detector(self._pane, minutes)
        detector_state = self.states.setdefault(series, {})
        for pane, held in closed:
            vitals = self._rule.condition.counted(held)
            if vitals is None:
                continue
            if minutes and self._low <= pane < self._high and self._training.learned(detector_state) is None:
                while (wake := detector.wakes(detector_state)) < pane:
                    detector.take(detector_state, wake, None)
                detector.take(detector_state, pane, vitals)
        return []


class BaselineTraining:
    """One pass over the calls of some partitions (a past_calls.Fed); sources: topic → its partitions."""

    def __init__(
        self, settings: Settings, engine: RuleEngine, learning: _Learning, sources: Mapping[str, int]
    ) -> None:
        own = settings.model_copy(update={"default_views": False, "views": ()})
        pipeline = Pipeline.of(own, 1, [*sources], engine=engine)
        self._alone = replace(pipeline, merge=replace(pipeline.merge, engine=learning)).alone(sources)
        self.calls = 0
        self.learned: Sequence[Learned] = ()
        self._ended = 0

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Read calls of one partition, in the order of its log."""
        self.calls += len(records)
        self._alone.feed(topic, partition, records)

    def end(self, topic: str, partition: int) -> None:
        """End a partition: no more calls come from it."""
        self._alone.end(topic, partition)
        self._ended += 1
        if self._ended == len(self._alone.combines):
            self._alone.merge.finish()

    def reached(self, topic: str, partition: int) -> int:
        """The watermark of a partition, µs; window.NEVER at first."""
        return self._alone.combines[topic, partition].watermark


def learn(
    settings: Settings, engine: RuleEngine, rule: Rule, *, span: tuple[int, int], sources: Mapping[str, int]
) -> Iterator[BaselineTraining]:
    """The two passes of a training. Feed each with all calls before asking for the next.

    `learned` of the second one is the result. span: event time, µs.
    """
    _, training = learning_rule(engine, rule.name)
    counted = _Learning(rule, training, engine.pane, span)
    yield BaselineTraining(settings, engine, counted, sources)
    minutes = {series: training.minutes(state) for series, state in counted.states.items()}
    lengths = {series: training.fitting(number) for series, number in minutes.items()}
    learning = _Learning(rule, training, engine.pane, span, lengths=lengths)
    second = BaselineTraining(settings, engine, learning, sources)
    yield second
    memories = {series: training.learned(learning.states.get(series, {})) for series in minutes}
    second.learned = [
        Learned(series, minutes[series], memory, training.describe(memory) if memory else None)
        for series, memory in sorted(memories.items(), key=lambda entry: entry[0])
    ]
