"""Evaluates rules that read embeddings, arms or scores, with the worker's own two stages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Topic
from llmvitals.rules.engine import RuleEngine
from llmvitals.rules.rule import Rules
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llmvitals.record.log import Message, Record
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings


class StageEvaluator:
    """settings: without views of their own. rules: some of `every`. sources: topic → its partitions.

    It is slower than a ViewEvaluator, and evaluates every series and pane.
    """

    def __init__(
        self, settings: Settings, every: Rules, rules: Sequence[Rule], sources: Mapping[str, int]
    ) -> None:
        self.alerts: list[Alert] = []
        names = {rule.view for rule in rules}
        # Early evaluation of open panes only serves pages; a backtest reads closed panes.
        views = tuple(replace(view, stored=False, eager=False) for view in every.views if view.name in names)
        by_view = {name: tuple(rule for rule in rules if rule.view == name) for name in names}
        engine = RuleEngine(Rules(tuple(rules), views, by_view), duration(settings.pane), bare=True)
        self._alone = Pipeline.of(settings, 1, [*sources], engine=engine).alone(sources)

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Read calls of one partition, in the order of its log."""
        self._keep(self._alone.feed(topic, partition, records))

    def end(self, topic: str, partition: int) -> None:
        """End a partition: no more calls come from it."""
        self._keep(self._alone.end(topic, partition))

    def _keep(self, messages: Iterable[Message]) -> None:
        self.alerts += [Alert.decode(one.value or b"") for one in messages if one.topic is Topic.ALERTS]
