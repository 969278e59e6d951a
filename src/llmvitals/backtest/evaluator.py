"""Evaluates rules over past calls, read as the worker reads them. Nothing is stored or sent."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.backtest.columns import screen_of
from llmvitals.backtest.episodes import Span
from llmvitals.backtest.evaluator_process import EvaluatorProcess, begun
from llmvitals.backtest.pane_evaluator import PaneEvaluator
from llmvitals.backtest.reader import Block, Coder, Entries, Piece, Reader, together
from llmvitals.backtest.view_evaluator import ViewEvaluator
from llmvitals.pipeline import Pipeline
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from llmvitals.record.alert import Alert
    from llmvitals.record.log import Message, Record
    from llmvitals.record.view import View
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

COUNTERS: Final = ("in", "applied", "duplicate", "dead_lettered", "filtered", "late")
BLOCK: Final = 65_536
"""Calls that are evaluated at once. More cost less time for each call, and more memory."""
SPARSE: Final = 8_192, 6 * HOUR
"""Calls, and the event time (µs) that they span, from which on a block is evaluated earlier.

A series is awake or asleep for a whole block, so a block must not span too much time."""
DAYS: Final = "day "
"""Begins the names of the views that are added up by day."""


@dataclass(frozen=True, slots=True)
class FolderEvaluator:
    """Evaluates the rules of one folder: on columns most of them, on added-up panes the others."""

    pipeline: Pipeline
    views: list[ViewEvaluator | PaneEvaluator]

    @property
    def rules(self) -> list[str]:
        """Their names."""
        return [rule.name for rule in self.pipeline.engine.rules.rules]

    @property
    def alerts(self) -> list[Alert]:
        """The changes of alerts so far, in the order of their times, and updates of some."""
        alerts = chain.from_iterable(view.alerts for view in self.views)
        return sorted(alerts, key=lambda alert: alert.at)


class Evaluator:
    """Evaluates the rules of one or more folders over the calls of some partitions.

    Law: the alerts are those that the stages of a worker with one shard raise for the same panes, however
    calls are batched and partitions take turns. There are three exceptions. A worker reads open panes of a
    budget, and may report two thresholds seconds apart where a backtest reports the higher one. It counts
    together the series above `max_series`. And it reads an alert that fires once a minute, also when no call
    comes, so that of too few calls (`no_data`) it may report still fewer as the worst.

    pipelines: with the rules, one for each folder. sources: topic → its partitions. screening: see
    SeriesEvaluator. days: views whose calls are added up by day, too. processes: how many evaluate views from
    the second block on, if more than one; then the alerts are known at the end.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        sources: Mapping[str, int],
        *,
        screening: bool = False,
        days: Sequence[View] = (),
        processes: int = 1,
    ) -> None:
        plans = pipelines[0].combine
        self._pane, self._disorder = pipelines[0].merge.pane_us, plans[""].disorder_us
        self._coder = Coder(_dimensions([*(pipeline.engine.views for pipeline in pipelines), days]))
        added: dict[tuple[View, int], str] = {}
        self._screening = screening
        self._most, self._processes, self._costs = processes, list[EvaluatorProcess](), list[float]()
        self.folders = [
            FolderEvaluator(
                pipeline,
                [*self._on_columns(pipeline), *self._on_panes(pipeline, added)],
            )
            for pipeline in pipelines
        ]
        views: dict[int, list[View]] = {}
        for (view, grain), name in added.items():
            views.setdefault(grain, []).append(replace(view, name=name))
        views.setdefault(DAY // self._pane, []).extend(replace(view, name=DAYS + view.name) for view in days)
        self._readers = {
            (topic, number): Reader(plans.get(topic, plans[""]), self._coder, views, f"{topic}/{number}")
            for topic, count in sources.items()
            for number in range(count)
        }
        self._ended: set[tuple[str, int]] = set()
        self._pieces: list[Piece] = []
        self._entries: list[Entries] = []
        self.days: list[Entries] = []
        """The entries of the days that are over; their views' names begin with DAYS."""
        self._waiting = 0
        self._rest = 0
        self._low = NEVER
        self._first = FOREVER

    @classmethod
    def of(
        cls, settings: Settings, folders: Sequence[Path], sources: Mapping[str, int], *, processes: int = 1
    ) -> Evaluator:
        """Evaluate the rules of these folders, and nothing else.

        Raises ConfigError (RuleError for rules) that names the mistake.
        """
        alone = {"default_views": False, "views": ()}
        pipelines = [
            Pipeline.of(settings.model_copy(update={**alone, "alerts": folder}), 1, [*sources])
            for folder in folders
        ]
        return cls(pipelines, sources, processes=processes)

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> list[Message]:
        """Read calls of one partition, in the order of its log; returns the dead letters."""
        reader = self._readers[topic, partition]
        letters = reader.read(records)
        self._gather(reader)
        if self._waiting >= self._rest + min(SPARSE[0], BLOCK):
            low = min(reader.mark() for reader in self._readers.values())
            if self._waiting >= self._rest + BLOCK or (low - self._low) * self._pane >= SPARSE[1]:
                self._evaluate(low)
                self._low, self._rest = low, self._waiting
                if self._most > 1 and self._costs and not self._processes:
                    self._processes = begun(self._views, self._costs, self._coder, self._most)
        return letters

    def end(self, topic: str, partition: int, *, until: int = NEVER) -> None:
        """End a partition: no more calls come from it, and the others no longer wait for it.

        until: event time (µs) up to which time passes without calls, at least.
        """
        reader = self._readers[topic, partition]
        reader.finish()
        self._gather(reader)
        self._ended.add((topic, partition))
        if len(self._ended) == len(self._readers):
            if self._pieces:
                panes = MINUTE // self._pane
                last = max(int(piece.panes.max()) for piece in self._pieces)
                self._evaluate(-(-max(last + 1, until // self._pane) // panes) * panes)
            for each in self._processes or self._views:
                each.end()

    def reached(self, topic: str, partition: int) -> int:
        """The watermark of a partition, µs; window.NEVER at first."""
        return self._readers[topic, partition].watermark

    @property
    def time(self) -> int | None:
        """The newest event time so far, µs; None before the first call."""
        newest = max(reader.watermark for reader in self._readers.values())
        return newest + self._disorder if newest > NEVER else None

    @property
    def span(self) -> Span | None:
        """The event time of the calls; None if there were none."""
        newest = self.time
        return None if newest is None else Span(min(self._first * self._pane, newest), newest)

    @property
    def distinct_values(self) -> dict[str, int]:
        """How many values each dimension of a view has had so far."""
        *every, _ = self._coder.every
        return {name: len(names) for name, names in zip(self._coder.dimensions, every, strict=True)}

    @property
    def processes(self) -> int:
        """How many processes evaluate views now, beside this one."""
        return len(self._processes)

    @property
    def counters(self) -> Counter[str]:
        """The counters of the calls; see Combine."""
        readers = self._readers.values()
        return Counter({name: sum(reader.counters[name] for reader in readers) for name in COUNTERS})

    @property
    def _views(self) -> list[ViewEvaluator | PaneEvaluator]:
        return [*chain.from_iterable(folder.views for folder in self.folders)]

    def _on_columns(self, pipeline: Pipeline) -> Iterator[ViewEvaluator]:
        rules = pipeline.engine.rules
        views = {view.name: view for view in rules.views}
        alike: dict[tuple[str, bool, bool, int], list[Rule]] = {}
        for rule in filter(in_columns, rules.rules):
            condition = rule.condition
            how = screen_of(rule) is not None, condition.by_minute, condition.grain(self._pane)
            alike.setdefault((rule.view, *how), []).append(rule)
        for (name, *_), group in alike.items():
            yield ViewEvaluator(views[name], group, pipeline.merge, self._coder, screening=self._screening)

    def _on_panes(self, pipeline: Pipeline, added: dict[tuple[View, int], str]) -> Iterator[PaneEvaluator]:
        """The evaluators of rules that read more than columns hold.

        added: view, and how many of its panes are one (see Reader) → its name in the entries.
        """
        views = {view.name: view for view in pipeline.engine.views}
        alike: dict[tuple[str, int], list[Rule]] = {}
        for rule in pipeline.engine.rules.rules:
            if not in_columns(rule):
                # Other grains hold only while nothing fires, and there are no finer panes to go back to.
                grain = rule.condition.grain(self._pane) if rule.condition.by_minute else 1
                alike.setdefault((rule.view, grain), []).append(rule)
        for (name, grain), rules in alike.items():
            # A backtest shows neither pages nor causes.
            meaning = any(rule.condition.meaning for rule in rules)
            bare = replace(
                views[name], name="", eager=False, contributors=False, exemplars=False, meaning=meaning
            )
            entries = added.setdefault((bare, grain), f"{len(added)}")
            yield PaneEvaluator(views[name], rules, pipeline.merge, entries, screening=self._screening)

    def _gather(self, reader: Reader) -> None:
        pieces, entries = reader.taken()
        self._pieces += pieces
        for part in entries:
            (self.days if part.view.startswith(DAYS) else self._entries).append(part)
        self._waiting += sum(map(len, pieces))

    def _evaluate(self, low: int) -> None:
        """Evaluate all panes below this one, which are complete."""
        piece = together(self._pieces)
        inside = piece.panes < low
        places = np.flatnonzero(inside)
        if not len(places):
            return
        parts = [(part, part.panes < low) for part in self._entries]
        block = Block(piece.take(places), [part.only(below) for part, below in parts])
        self._entries = [part.only(~below) for part, below in parts if not below.all()]
        rest = piece.take(np.flatnonzero(~inside))
        self._pieces, self._waiting = [rest] if len(rest) else [], len(rest)
        self._first = min(self._first, int(block.panes.min()))
        for process in self._processes:
            process.take(block, low)
        if not self._processes:
            self._costs = [_cost(view, block, low) for view in self._views]


def _cost(view: ViewEvaluator | PaneEvaluator, block: Block, low: int) -> float:
    """Evaluate a block; returns the CPU time that it took, in seconds."""
    began = time.process_time()
    view.take(block, low)
    return time.process_time() - began


def in_columns(rule: Rule) -> bool:
    """Whether columns hold what a rule reads; they hold late calls apart from the others."""
    return rule.condition.required_data is not None and rule.condition.late != "counted"


def _dimensions(several: Sequence[Sequence[View]]) -> list[str]:
    """Every dimension that one of these views splits or filters by."""
    views = [*chain.from_iterable(several)]
    return sorted({name for view in views for name in (*view.by, *(name for name, _ in view.where))})
