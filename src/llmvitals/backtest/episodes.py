"""Changes of alerts → episodes, and what a rule's episodes come to: pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from llmvitals.rules.kinds import KINDS
from llmvitals.window import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llmvitals.record.alert import Alert, Unit
    from llmvitals.store.alert_history import Change

FLAP: Final = 30 * MINUTE
"""An alert that fires again within this time after its end has flapped."""
WEEK: Final = 7 * DAY


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert's life: from its first firing (begin, µs) to its end (None: not over when the calls ended).

    level: the last one told. worst: the value furthest beyond the limit, of those told at its changes.
    """

    rule: str
    kind: str
    series: str
    labels: Mapping[str, str] = field(hash=False)
    begin: int
    end: int | None
    level: str
    worst: float
    limit: float
    unit: Unit

    def lasted(self, upto: int) -> int:
        """How long, µs; of one that is not over, until `upto`."""
        return max((upto if self.end is None else self.end) - self.begin, 0)


@dataclass(frozen=True, slots=True)
class Span:
    """The event time that was looked at, µs: from the first call to the last."""

    begin: int
    end: int

    @property
    def weeks(self) -> float:
        """Its length."""
        return max(self.end - self.begin, SECOND) / WEEK


@dataclass(frozen=True, slots=True)
class Record:
    """What one rule did within a span. Times and lengths in µs; first, last: when it fired.

    open: not over at the end. flaps: fired again within FLAP after an end, in the same series.
    """

    rule: str
    series: int
    fired: int
    first: int | None
    last: int | None
    total: int
    median: int
    per_week: float
    flaps: int
    open: int
    worst: float | None
    limit: float | None
    unit: Unit | None


def episodes(alerts: Iterable[Alert]) -> list[Episode]:
    """The episodes that changes tell of, in the order of their beginnings."""
    found: dict[tuple[str, str], Episode] = {}
    for alert in sorted(alerts, key=lambda alert: alert.at):
        key = alert.episode, alert.facet
        known = found.get(key)
        if alert.status == "resolved":
            if known is not None:
                found[key] = replace(known, end=alert.at)
            continue
        told = begun(alert)
        found[key] = told if known is None else _higher(known, told)
    return sorted(found.values(), key=lambda episode: (episode.begin, episode.rule, episode.series))


def begun(first: Alert | Change) -> Episode:
    """The episode that its first firing begins."""
    return Episode(
        rule=first.rule,
        kind=first.kind,
        series=f"{first.fingerprint} {first.facet}".strip(),
        labels=first.labels,
        begin=first.at,
        end=None,
        level=first.level,
        worst=first.value,
        limit=first.limit,
        unit=cast("Unit", first.unit or "count"),  # points hold it as text
    )


def records(rules: Iterable[str], found: Sequence[Episode], span: Span) -> list[Record]:
    """What each rule did, the noisiest first, then by name."""
    mine: dict[str, list[Episode]] = {rule: [] for rule in rules}
    for episode in found:
        mine.setdefault(episode.rule, []).append(episode)
    made = [_record(rule, theirs, span) for rule, theirs in mine.items()]
    return sorted(made, key=lambda record: (-record.fired, record.rule))


def flaps(found: Sequence[Episode]) -> int:
    """How many of these episodes, in the order of their beginnings, began within FLAP after the last end."""
    ends: dict[tuple[str, str], int] = {}
    count = 0
    for episode in found:
        key = episode.rule, episode.series
        count += key in ends and 0 <= episode.begin - ends[key] <= FLAP
        if episode.end is not None:
            ends[key] = episode.end
    return count


def _record(rule: str, found: Sequence[Episode], span: Span) -> Record:
    lengths = [episode.lasted(span.end) for episode in found]
    worst = max(found, key=_excess, default=None)
    return Record(
        rule=rule,
        series=len({episode.series for episode in found}),
        fired=len(found),
        first=min((episode.begin for episode in found), default=None),
        last=max((episode.begin for episode in found), default=None),
        total=sum(lengths),
        median=int(statistics.median(lengths)) if lengths else 0,
        per_week=len(found) / span.weeks,
        flaps=flaps(found),
        open=sum(episode.end is None for episode in found),
        worst=worst.worst if worst else None,
        limit=worst.limit if worst else None,
        unit=worst.unit if worst else None,
    )


def _higher(known: Episode, told: Episode) -> Episode:
    further = told if _excess(told) > _excess(known) else known
    return replace(known, end=None, level=told.level, worst=further.worst, limit=further.limit)


def _excess(episode: Episode) -> float:
    """How far the worst value lies beyond the limit, as a share of it; below it, where the alert is there."""
    size = abs(episode.limit) or 1.0
    share = (episode.worst - episode.limit) / size
    kind = KINDS.get(episode.kind)
    below = episode.worst < episode.limit and (kind is None or kind.bound != "budget")
    return -share if below else share
