"""Calls through the worker's own stages, for the rules alone: nothing is stored, sent or paged."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llmvitals.backtest.episodes import Span
from llmvitals.combine import Combine
from llmvitals.merge import Merge
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.frame import Frame
from llmvitals.record.log import Logged, Topic
from llmvitals.window import FOREVER, NEVER, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from llmvitals.combine import Plan
    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings

COUNTERS: Final = ("in", "applied", "duplicate", "dead_lettered", "filtered", "late")


@dataclass(slots=True)
class Judge:
    """The rules of one folder, and what they said."""

    pipeline: Pipeline
    merge: Merge
    alerts: list[Alert] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Settings, folder: Path, inputs: Sequence[str]) -> Judge:
        """Reads the folder. Raises ConfigError (RuleError for the rules) that names what is wrong."""
        alone = {"alerts": folder, "default_views": False, "views": ()}
        pipeline = Pipeline.of(settings.model_copy(update=alone), 1, inputs)
        # Nobody wants points, and a budget can wait until its pane is over.
        views = {
            name: dataclasses.replace(view, stored=False, eager=False)
            for name, view in pipeline.merge.views.items()
        }
        plan = dataclasses.replace(pipeline.merge, views=views)
        return cls(pipeline, Merge(plan, shard=0, parts={}, beginning=0))

    @property
    def rules(self) -> list[str]:
        """Their names."""
        return [rule.name for rule in self.pipeline.watch.rules.rules]

    def take(self, frames: Sequence[Logged]) -> None:
        """Frames in, alerts kept."""
        self._keep(self.merge.apply(frames))

    def _keep(self, messages: Iterable[Message]) -> None:
        self.alerts += [
            Alert.decode(message.value or b"") for message in messages if message.topic is Topic.ALERTS
        ]


class Trial:
    """The rules of one folder or more, over the calls of some partitions: one combine stage for each.

    Law: the alerts are those of the closed panes, so they are the same however calls are batched and
    partitions take turns. (A worker tells of a budget out of panes still open: maybe of two steps, seconds
    apart, where here the higher one is told.)

    sources: topic → its partitions. Raises ConfigError (RuleError for rules) that names what is wrong.
    """

    def __init__(self, settings: Settings, folders: Sequence[Path], sources: Mapping[str, int]) -> None:
        self.judges = [Judge.of(settings, folder, [*sources]) for folder in folders]
        self._disorder, self._pane = duration(settings.disorder), duration(settings.pane)
        self._first = FOREVER
        self._stages = {
            (topic, number): Combine(
                self._plan(topic), source=f"{topic}/{number}", sources=dict(sources), parts={}, beginning=0
            )
            for topic, count in sources.items()
            for number in range(count)
        }
        self._frames = 0

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Calls of one partition, in the order of its log."""
        stage = self._stages[topic, partition]
        out = stage.apply(records)
        stage.delivered(stage.mark())
        self._pass_on(out)

    def end(self, topic: str, partition: int) -> None:
        """Nothing more comes from this partition, so nobody waits for it any more."""
        self._pass_on(self._stages[topic, partition].finish())

    def reached(self, topic: str, partition: int) -> int:
        """Event time that this partition has come to, µs; window.NEVER at first."""
        return self._stages[topic, partition].watermark

    @property
    def time(self) -> int | None:
        """The newest event time so far, µs; None before the first call."""
        newest = max(stage.watermark for stage in self._stages.values())
        return newest + self._disorder if newest > NEVER else None

    @property
    def span(self) -> Span | None:
        """The event time of the calls; None where there were none."""
        newest = self.time
        return None if newest is None else Span(min(self._first * self._pane, newest), newest)

    @property
    def counters(self) -> Counter[str]:
        """What became of the calls: see Combine."""
        stages = self._stages.values()
        return Counter({name: sum(stage.counters[name] for stage in stages) for name in COUNTERS})

    def _plan(self, topic: str) -> Plan:
        """One pass for all folders: the views of each."""
        plans = [judge.pipeline.combine.get(topic, judge.pipeline.combine[""]) for judge in self.judges]
        views = {view.name: view for plan in plans for view in plan.views}
        return dataclasses.replace(plans[0], views=tuple(views.values()))

    def _pass_on(self, messages: Iterable[Message]) -> None:
        frames = []
        for message in messages:
            if message.topic is Topic.PARTIALS:
                frames.append(Logged(self._frames, 0, message.value))
                self._frames += 1
                entries = Frame.decode(message.value or b"").entries
                self._first = min([self._first, *(entry.pane for entry in entries)])
        for judge in self.judges:
            judge.take(frames)
