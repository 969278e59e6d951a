"""Rules that read more of calls than a Bag holds (vectors, arms, scores): the worker's own two stages."""

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


class Stages:
    """settings: without views of their own. rules: some of `every`. sources: topic → its partitions.

    Slower than a Post, and exact by itself: nothing is left out, and nothing is told early.
    """

    def __init__(
        self, settings: Settings, every: Rules, rules: Sequence[Rule], sources: Mapping[str, int]
    ) -> None:
        self.alerts: list[Alert] = []
        names = {rule.view for rule in rules}
        # What is told early is told again when it is over: a point of time nobody looks at here.
        views = tuple(replace(view, stored=False, eager=False) for view in every.views if view.name in names)
        by_view = {name: tuple(rule for rule in rules if rule.view == name) for name in names}
        watch = RuleEngine(Rules(tuple(rules), views, by_view), duration(settings.pane), bare=True)
        self._alone = Pipeline.of(settings, 1, [*sources], watch=watch).alone(sources)

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Calls of one partition, in the order of its log."""
        self._keep(self._alone.feed(topic, partition, records))

    def end(self, topic: str, partition: int) -> None:
        """Nothing more comes from this partition."""
        self._keep(self._alone.end(topic, partition))

    def _keep(self, messages: Iterable[Message]) -> None:
        self.alerts += [Alert.decode(one.value or b"") for one in messages if one.topic is Topic.ALERTS]
