"""The first reading of a replay: what the calls add up to, and the series in which a rule may fire."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from llmvitals.backtest.copied_process import PROCESSES, shares
from llmvitals.backtest.evaluator import DAYS, Evaluator
from llmvitals.merge.points import window_points
from llmvitals.merge.rollup import Windows
from llmvitals.record import point
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_key
from llmvitals.record.view import OTHER
from llmvitals.window import DAY

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from llmvitals.backtest.reader import Entries
    from llmvitals.pipeline import Pipeline
    from llmvitals.record.log import Message, Record
    from llmvitals.record.point import Point

Series = tuple[str, ...]


class Screening:
    """Reads the calls of one partition (of this topic) once, with all rules and without evidence.

    Law: a series that the stages of the pipeline have an alert about is in `series`, with the alert's rule.
    """

    def __init__(self, pipeline: Pipeline, topic: str) -> None:
        self._plan, self._topic = pipeline.merge, topic
        self._most = min(plan.max_series for plan in pipeline.combine.values())
        stored = [view for name, view in self._plan.views.items() if self._plan.stores(name)]
        bare = [
            replace(view, eager=False, contributors=False, exemplars=False, meaning=False) for view in stored
        ]
        self._evaluator = Evaluator([pipeline], {topic: 1}, screening=True, days=bare, processes=PROCESSES)

    def feed(self, records: Sequence[Record]) -> list[Message]:
        """Read calls, in the order of the log; returns the dead letters."""
        return self._evaluator.feed(self._topic, 0, records)

    def end(self, until: int) -> None:
        """End the log. until: event time (µs) up to which time passes without calls, at least."""
        self._evaluator.end(self._topic, 0, until=until)

    @property
    def watermark(self) -> int:
        """Of the calls so far, µs; window.NEVER without any."""
        return self._evaluator.reached(self._topic, 0)

    @property
    def counters(self) -> Counter[str]:
        """The counters of the calls; see Combine."""
        return self._evaluator.counters

    @property
    def series(self) -> dict[str, dict[Series, set[str]]]:
        """View → the series in which its rules may fire → these rules."""
        found: dict[str, dict[Series, set[str]]] = {}
        for view in self._evaluator.folders[0].views:
            for series, rules in view.found.items():
                found.setdefault(view.view, {}).setdefault(series, set()).update(rules)
        return found

    def shares(self) -> list[dict[str, dict[Series, set[str]]]]:
        """Parts of `series`, a few views each, for as many processes as have evaluated views."""
        weighed = ((len(found), (view, found)) for view, found in self.series.items())
        return [dict(part) for part in shares(weighed, self._evaluator.processes)]

    def days(self) -> list[Point] | None:
        """The points of all days; None if a view has too many series for their limit, which merge applies."""
        by_view: dict[str, list[Entries]] = {}
        for part in self._evaluator.days:
            by_view.setdefault(part.view.removeprefix(DAYS), []).append(part)
        points: list[Point] = []
        for view, parts in by_view.items():
            names = {series for part in parts for series in part.series}
            if len(names) > self._limit(view) or any(OTHER in series for series in names):
                return None
            made = window_points(_windows(view, parts, self._plan.pane_us), self._plan, 0)
            points += (each for array in point.encode(made) for each in point.decode(array))
        return points

    def limited(self, views: Collection[str]) -> bool:
        """Whether one of these views may have too many series for its limit.

        Of views without points only the values of their dimensions are known, and thus the most series that
        these can be combined to. To be called if `days` has returned points.
        """
        values = self._evaluator.distinct_values
        every = [self._plan.views[name] for name in views if not self._plan.stores(name)]
        return any(math.prod(values[name] for name in view.by) > self._limit(view.name) for view in every)

    def _limit(self, view: str) -> int:
        """The series up to which no stage counts any of them in OTHER."""
        return min(self._plan.limits.of(self._plan.views[view]), self._most)


def _windows(view: str, parts: Sequence[Entries], pane_us: int) -> Windows:
    """The counters and bins of days, as merge.DayTotals has them."""
    keys = [series_key(view, series) for part in parts for series in part.series]
    panes = np.concatenate([part.panes for part in parts]) * pane_us
    days = panes - panes % DAY
    rows = Rows.concatenated([replace(part.rows, details={}) for part in parts])
    places = sorted(zip(keys, days.tolist(), range(len(keys)), strict=True))
    groups = [next(same) for _, same in groupby(enumerate(places), key=lambda each: each[1][:2])]
    order = np.array([place for _, _, place in places], np.int64)
    starts = np.array([first for first, _ in groups], np.int64)
    names, begins = [key for _, (key, *_) in groups], [day for _, (_, day, _) in groups]
    return Windows(view, "1d", names, np.array(begins, np.int64), rows.summed(order, starts))
