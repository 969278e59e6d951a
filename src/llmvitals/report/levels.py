"""Compares fixed limits with the past, from the store: the limit that one hour a week would have passed.

Of each series and hour the worst stored value counts; see `advice.level`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.registry import metric_of
from llmvitals.record.view import DEFAULT_VIEWS
from llmvitals.report.advice import beyond, level
from llmvitals.store import question
from llmvitals.store.registry import store_reader
from llmvitals.window import MINUTE, ROLLUPS, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.backtest.episodes import Span
    from llmvitals.record.alert import Unit
    from llmvitals.rules.condition.kind import FixedLimit, Kind
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings
    from llmvitals.store.question import Sample

    Values = Mapping[str, Sequence[tuple[int, float]]]

WINDOWS: Final = 10_080
"""Windows of one series that are read at most: a week of minutes, five weeks of 5 minutes."""


@dataclass(frozen=True, slots=True)
class Level:
    """A fixed limit against its past.

    beyond: hours a week in which the limit was passed. once: the limit that one hour a week would have
    passed; None where there is too little to tell. window: of the stored values. values, series: how many
    were read. why: why nothing could be read, else "".
    """

    rule: str
    unit: Unit
    above: bool
    limit: float
    beyond: float = 0.0
    once: float | None = None
    window: str = ""
    values: int = 0
    series: int = 0
    why: str = ""


async def of(settings: Settings, rule: Rule, span: Span) -> Level | None:
    """The fixed limit of a rule against its past; None if it has none. Raises SinkError."""
    condition, fixed = rule.condition, rule.condition.fixed_limit
    if fixed is None:
        return None
    above, limit = fixed.above, fixed.limit
    view = _view(settings, condition)
    stored = question.stored(fixed.metric)
    if view is None:
        why = "no stored view has its by and where: add one to `views` in the settings"
        return Level(rule.name, condition.unit, above, limit, why=why)
    window = _window(fixed)
    request = question.Request(
        view=view,
        window=window,
        since=max(span.begin, span.end - WINDOWS * ROLLUPS[window]),
        until=span.end,
        fields=tuple(dict.fromkeys((*stored.fields, "calls"))),
        where=stored.tags,
        measurement=stored.measurement,
    )
    values = _values(await store_reader(settings).samples(request), fixed, ROLLUPS[window])
    weeks = (request.until - request.since) / (7 * 24 * 60 * MINUTE)
    return Level(
        rule.name,
        condition.unit,
        above,
        limit,
        beyond=beyond(values, limit, weeks=weeks, above=above),
        once=level(values, weeks=weeks, above=above),
        window=window,
        values=sum(map(len, values.values())),
        series=len(values),
    )


def _window(fixed: FixedLimit) -> str:
    """The longest stored window, but a minute at least, that the rule's own is made of."""
    fit = [name for name, length in ROLLUPS.items() if fixed.window % length == 0]
    return fit[-1] if fit else "1m"


def _view(settings: Settings, condition: Kind) -> str | None:
    """The stored view that is split like the rule, and holds all calls."""
    if condition.where:
        return None
    views = {view.name: view.by for view in DEFAULT_VIEWS} if settings.default_views else {}
    views |= {view.name: view.by for view in settings.views if not view.where}
    return next((name for name, by in views.items() if set(by) == set(condition.by)), None)


def _values(samples: Sequence[Sample], fixed: FixedLimit, length: int) -> dict[str, list[tuple[int, float]]]:
    """Series → the metric over time, where it rests on enough calls: as many as the rule asks of its window.

    Totals and rates are those of the rule's whole window; others are as they are stored.
    """
    metric, together = metric_of(fixed.metric), fixed.window // length or 1
    few = fixed.min_calls / together
    seconds = (fixed.window if metric.additive else length) / SECOND
    found: dict[str, list[tuple[int, float]]] = {}
    for sample in sorted(samples, key=lambda sample: sample.start):
        value = question.stored(fixed.metric).value(sample.fields, seconds)
        if value is not None and (metric.additive or sample.fields.get("calls", 0) >= few):
            found.setdefault(repr(sorted(sample.tags.items())), []).append((sample.start, float(value)))
    if not metric.additive:
        return found
    return {series: _summed(values, fixed.window) for series, values in found.items()}


def _summed(values: Sequence[tuple[int, float]], window: int) -> list[tuple[int, float]]:
    """At each start, the sum over the window that ends with it."""
    summed, first, total = [], 0, 0.0
    for start, value in values:
        total += value
        while values[first][0] <= start - window:
            total -= values[first][1]
            first += 1
        summed.append((start, total))
    return summed
