"""Advice about rules from their past alerts; each piece says how it was found."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.backtest.episodes import FLAP
from llmvitals.window import HOUR, MINUTE, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.backtest.episodes import Episode, Span
    from llmvitals.rules.rule import Rule

OFTEN: Final = 5.0
"""A rule that fires this many times a week fires often."""
STEPS: Final = tuple(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60))
"""The durations that are suggested."""
_PER_BLOCK: Final = HOUR


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
