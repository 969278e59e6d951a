"""Changes of alerts → past alerts → a summary of each rule."""

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

    from llmvitals.store.query import Change

EVENING: Final = 22
MORNING: Final = 7
"""Night is between these hours."""
NOISIEST: Final = 5


@dataclass(frozen=True, slots=True)
class PastAlert:
    """An episode, when it was first acknowledged (µs) and by whom; None and "" if nobody did."""

    episode: Episode
    acknowledged: int | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Some lengths of time (µs): how many, their median, and their 90th percentile (nearest rank)."""

    count: int
    median: int
    p90: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Spread | None:
        """None for no lengths."""
        if not lengths:
            return None
        rank = math.ceil(0.9 * len(lengths)) - 1
        return cls(len(lengths), int(statistics.median(lengths)), sorted(lengths)[rank])


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """A rule within a span. acknowledge, resolve: time after the first firing; night: share, 0 … 1."""

    record: Record
    acknowledge: Spread | None
    resolve: Spread | None
    night: float


@dataclass(frozen=True, slots=True)
class Noisy:
    """A series of a rule, and how often it fired."""

    rule: str
    labels: tuple[tuple[str, str], ...]
    fired: int


def past_alerts(changes: Iterable[Change]) -> list[PastAlert]:
    """The alerts whose first firing is among these changes, in the order of their beginnings.

    changes: in the order of time.
    """
    alerts: dict[tuple[str, str], PastAlert] = {}
    for change in changes:
        key = change.episode, change.facet
        known = alerts.get(key)
        if change.state == "firing" and known is None:
            alerts[key] = PastAlert(begun(change))
        elif known is not None:
            alerts[key] = _continued(known, change)
    return sorted(
        alerts.values(), key=lambda alert: (alert.episode.begin, alert.episode.rule, alert.episode.series)
    )


def lines(rules: Iterable[str], alerts: Sequence[PastAlert], span: Span, zone: ZoneInfo) -> list[RuleSummary]:
    """A summary of each rule, the noisiest first. rules: all rules, so that silent ones are listed too."""
    made = records(rules, [alert.episode for alert in alerts], span)
    return [
        _line(record, [alert for alert in alerts if alert.episode.rule == record.rule], zone)
        for record in made
    ]


def noisiest(alerts: Sequence[PastAlert]) -> list[Noisy]:
    """The series that fired most often, and more than once."""
    counted = Counter((alert.episode.rule, tuple(alert.episode.labels.items())) for alert in alerts)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Noisy(rule, labels, fired) for (rule, labels), fired in ranked[:NOISIEST] if fired > 1]


def _continued(known: PastAlert, change: Change) -> PastAlert:
    episode = known.episode
    if change.state == "acknowledged":
        return known if known.acknowledged else replace(known, acknowledged=change.at, by=change.by)
    if change.state == "silenced":
        return known
    level, end = change.level or episode.level, change.at if change.state == "resolved" else None
    newest = replace(episode, level=level, worst=begun(change).worst, limit=change.limit, end=end)
    return replace(known, episode=newest)


def _line(record: Record, mine: Sequence[PastAlert], zone: ZoneInfo) -> RuleSummary:
    acknowledged = [
        alert.acknowledged - alert.episode.begin for alert in mine if alert.acknowledged is not None
    ]
    resolved = [alert.episode.end - alert.episode.begin for alert in mine if alert.episode.end is not None]
    night = sum(_at_night(alert.episode.begin, zone) for alert in mine)
    return RuleSummary(
        record, Spread.of(acknowledged), Spread.of(resolved), night / len(mine) if mine else 0.0
    )


def _at_night(time: int, zone: ZoneInfo) -> bool:
    hour = datetime.fromtimestamp(time / SECOND, zone).hour
    return hour >= EVENING or hour < MORNING
