"""Advice about rules from the past; each piece says how it was found.

Of times: from the past alerts of a rule. Of levels: from the store, the limit that one hour a week would have
passed; of each series and hour the worst stored value counts, see `level`.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.backtest.episodes import FLAP
from llmvitals.metrics.registry import metric_of
from llmvitals.record.view import DEFAULT_VIEWS
from llmvitals.store import question
from llmvitals.store.registry import store_reader
from llmvitals.window import HOUR, MINUTE, ROLLUPS, SECOND, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.backtest.episodes import Episode, Span
    from llmvitals.record.alert import Unit
    from llmvitals.rules.condition.kind import FixedLimit, Kind
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings
    from llmvitals.store.question import Sample

    Values = Mapping[str, Sequence[tuple[int, float]]]

OFTEN: Final = 5.0
"""A rule that fires this many times a week fires often."""
STEPS: Final = tuple(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60))
"""The durations that are suggested."""
_PER_BLOCK: Final = HOUR

WINDOWS: Final = 10_080
"""Windows of one series that are read at most: a week of minutes, five weeks of 5 minutes."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A rule, what to change in it, and why."""

    rule: str
    change: str
    why: str


def of_times(rule: Rule, found: Sequence[Episode], span: Span) -> Iterator[Advice]:
    """Advice for a rule that fires often and briefly, or again and again."""
    over = [episode for episode in found if episode.end is not None]
    if not rule.condition.lasting or len(found) / span.weeks < OFTEN or not over:
        return
    yield from _hold(rule, over, span)
    yield from _keep(rule, over)


def _hold(rule: Rule, over: Sequence[Episode], span: Span) -> Iterator[Advice]:
    """A longer `for`, if it would halve the alerts. A breach lasts `for` + the alert − `keep_firing_for`."""
    breaches = [rule.hold + episode.lasted(span.end) - rule.keep for episode in over]
    for step in STEPS:
        left = sum(breach >= step for breach in breaches)
        if step > rule.hold and left <= len(over) / 2:
            median = duration_text(_round(statistics.median(breaches)))
            yield Advice(
                rule.name,
                f"try for: {duration_text(step)}",
                f"it fires {len(over) / span.weeks:,.0f} times a week, and half of its breaches are over "
                f"within {median}; {left / span.weeks:,.0f} a week would be left",
            )
            return


def _keep(rule: Rule, over: Sequence[Episode]) -> Iterator[Advice]:
    """A longer `keep_firing_for`, if alerts come back soon after their end."""
    gaps: list[int] = []
    ends: dict[str, int] = {}
    for episode in over:
        if episode.series in ends and 0 <= (gap := episode.begin - ends[episode.series]) <= FLAP:
            gaps.append(gap + rule.keep)
        ends[episode.series] = episode.end or 0
    if len(gaps) < len(over) / 4:
        return
    step = next((step for step in STEPS if sum(gap <= step for gap in gaps) >= len(gaps) * 3 / 4), None)
    if step is not None and step > rule.keep:
        joined = sum(gap <= step for gap in gaps)
        yield Advice(
            rule.name,
            f"try keep_firing_for: {duration_text(step)}",
            f"{len(gaps):,} of its {len(over):,} alerts came back within 30m after their end; "
            f"{joined:,} of them would have been one with the alert before",
        )


def level(values: Mapping[str, Sequence[tuple[int, float]]], *, weeks: float, above: bool) -> float | None:
    """The level that about one hour a week has been beyond.

    values: series → (start in µs, what the metric was). Of each series and hour the worst value counts, so
    that a bad hour is one; the level is the worst but as many as there are weeks. None where the time is
    shorter than a week, or there are too few hours to leave any below it.
    """
    worst: dict[tuple[str, int], float] = {}
    choose = max if above else min
    for series, found in values.items():
        for start, value in found:
            key = series, start // _PER_BLOCK
            worst[key] = choose(worst.get(key, value), value)
    ranked = sorted(worst.values(), reverse=above)
    rank = round(weeks)
    return ranked[rank] if 1 <= rank < len(ranked) else None


def beyond(
    values: Mapping[str, Sequence[tuple[int, float]]], limit: float, *, weeks: float, above: bool
) -> float:
    """How many hours a week, over all series, had a value beyond the limit."""
    hours = {
        (series, start // _PER_BLOCK)
        for series, found in values.items()
        for start, value in found
        if (value > limit if above else value < limit)
    }
    return len(hours) / weeks


def _round(micros: float) -> int:
    return max(round(micros / 1_000_000), 1) * 1_000_000


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


async def level_of(settings: Settings, rule: Rule, span: Span) -> Level | None:
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
