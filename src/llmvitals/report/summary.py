"""Changes of alerts → episodes, and what they say of each rule: pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from llmvitals.backtest.episodes import Episode, Record, Span, begun, records
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from llmvitals.store.alert_history import Change

EVENING: Final = 22
MORNING: Final = 7
"""Night lies between these hours."""
NOISIEST: Final = 5


@dataclass(frozen=True, slots=True)
class Told:
    """An episode, when somebody acknowledged it first (µs) and who; None and "" if nobody did."""

    episode: Episode
    acknowledged: int | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some lengths (µs): how many, the median, and what nine of ten don't pass (nearest rank)."""

    count: int
    median: int
    p90: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Spread | None:
        """None of none."""
        if not lengths:
            return None
        rank = math.ceil(0.9 * len(lengths)) - 1
        return cls(len(lengths), int(statistics.median(lengths)), sorted(lengths)[rank])


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """One rule within a span. acknowledge, resolve: how long after the first firing; night: share, 0 … 1."""

    record: Record
    acknowledge: Spread | None
    resolve: Spread | None
    night: float


@dataclass(frozen=True, slots=True)
class Noisy:
    """A series of a rule and how often it fired."""

    rule: str
    labels: tuple[tuple[str, str], ...]
    fired: int


def told(changes: Iterable[Change]) -> list[Told]:
    """The episodes whose first firing is among these changes (in the order of time), by their beginnings."""
    found: dict[tuple[str, str], Told] = {}
    for change in changes:
        key = change.episode, change.facet
        known = found.get(key)
        if change.state == "firing" and known is None:
            found[key] = Told(begun(change))
        elif known is not None:
            found[key] = _went_on(known, change)
    return sorted(found.values(), key=lambda one: (one.episode.begin, one.episode.rule, one.episode.series))


def lines(rules: Iterable[str], found: Sequence[Told], span: Span, zone: ZoneInfo) -> list[RuleSummary]:
    """What each rule did, the noisiest first. rules: all that there are, so that silent ones are seen."""
    made = records(rules, [one.episode for one in found], span)
    return [_line(record, [one for one in found if one.episode.rule == record.rule], zone) for record in made]


def noisiest(found: Sequence[Told]) -> list[Noisy]:
    """The series that fired most, of those that fired more than once."""
    counted = Counter((one.episode.rule, tuple(one.episode.labels.items())) for one in found)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Noisy(rule, labels, fired) for (rule, labels), fired in ranked[:NOISIEST] if fired > 1]


def _went_on(known: Told, change: Change) -> Told:
    episode = known.episode
    if change.state == "acknowledged":
        return known if known.acknowledged else replace(known, acknowledged=change.at, by=change.by)
    if change.state == "resolved":
        return replace(known, episode=replace(episode, end=change.at))
    if change.state == "level":
        return replace(known, episode=replace(episode, level=change.level, worst=change.value))
    return known


def _line(record: Record, mine: Sequence[Told], zone: ZoneInfo) -> RuleSummary:
    acknowledged = [one.acknowledged - one.episode.begin for one in mine if one.acknowledged is not None]
    resolved = [one.episode.end - one.episode.begin for one in mine if one.episode.end is not None]
    night = sum(_at_night(one.episode.begin, zone) for one in mine)
    return RuleSummary(
        record, Spread.of(acknowledged), Spread.of(resolved), night / len(mine) if mine else 0.0
    )


def _at_night(time: int, zone: ZoneInfo) -> bool:
    hour = datetime.fromtimestamp(time / SECOND, zone).hour
    return hour >= EVENING or hour < MORNING
