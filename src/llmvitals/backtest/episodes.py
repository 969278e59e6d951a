"""Turns changes of alerts into episodes, and summarises the episodes of each rule."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from llmvitals.rules.kinds import KINDS
from llmvitals.window import DAY, FOREVER, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from llmvitals.record.alert import Alert, Unit
    from llmvitals.store.query import Change

FLAP: Final = 30 * MINUTE
"""An alert that fires again within this time (µs) after it resolved has flapped."""
WEEK: Final = 7 * DAY


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert from firing (begin, µs) to resolved (end, µs; None: still firing when the calls ended).

    level: the last one. worst: of its values, the one furthest beyond the limit.
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
        """The duration, µs; until `upto` if it still fires."""
        return max((upto if self.end is None else self.end) - self.begin, 0)


@dataclass(frozen=True, slots=True)
class Span:
    """The event time from the first call to the last, µs."""

    begin: int
    end: int

    @property
    def weeks(self) -> float:
        """Its length."""
        return max(self.end - self.begin, SECOND) / WEEK


@dataclass(frozen=True, slots=True)
class Record:
    """The episodes of one rule within a span, summarised. Times and durations in µs.

    first, last: when it fired. open: still firing at the end. flaps: episodes that began within FLAP after
    their series resolved.
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
    """The episodes of changes of alerts, in the order in which they begin."""
    found: dict[tuple[str, str], Episode] = {}
    for alert in sorted(alerts, key=lambda alert: alert.at):
        key = alert.episode, alert.facet
        known = found.get(key)
        current = begun(alert) if known is None else _extended(known, begun(alert))
        if alert.status == "firing":
            found[key] = current
        elif known is not None:
            found[key] = replace(current, level=known.level, end=alert.at)
    return sorted(found.values(), key=lambda episode: (episode.begin, episode.rule, episode.series))


def begun(first: Alert | Change) -> Episode:
    """The episode that begins with an alert that fires."""
    return Episode(
        rule=first.rule,
        kind=first.kind,
        series=f"{first.fingerprint} {first.facet}".strip(),
        labels=first.labels,
        begin=first.at,
        end=None,
        level=first.level,
        worst=first.value if first.peak is None else first.peak,
        limit=first.limit,
        unit=cast("Unit", first.unit or "count"),  # points hold it as text
    )


def records(rules: Iterable[str], found: Sequence[Episode], span: Span) -> list[Record]:
    """The record of each rule, the noisiest first, then by name."""
    mine: dict[str, list[Episode]] = {rule: [] for rule in rules}
    for episode in found:
        mine.setdefault(episode.rule, []).append(episode)
    made = [_record(rule, theirs, span) for rule, theirs in mine.items()]
    return sorted(made, key=lambda record: (-record.fired, record.rule))


def flaps(found: Sequence[Episode]) -> int:
    """The number of episodes (ordered by begin) that began within FLAP after their series resolved."""
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


def _extended(known: Episode, current: Episode) -> Episode:
    further = current if _excess(current) > _excess(known) else known
    return replace(known, end=None, level=current.level, worst=further.worst, limit=further.limit)


def _excess(episode: Episode) -> float:
    """How far the worst value is beyond the limit, as a share of it, in the direction of the alert."""
    size = abs(episode.limit) or 1.0
    share = (episode.worst - episode.limit) / size
    kind = KINDS.get(episode.kind)
    below = episode.worst < episode.limit and (kind is None or kind.bound != "budget")
    return -share if below else share


@dataclass(frozen=True, slots=True)
class Pair:
    """An episode of one rule set and the overlapping one of the other; None if there is none."""

    ours: Episode | None
    theirs: Episode | None

    @property
    def either(self) -> Episode:
        """Ours, or theirs if ours is missing."""
        found = self.ours or self.theirs
        if found is None:
            raise ValueError("a pair without an episode")
        return found

    @property
    def same(self) -> bool:
        """Whether both exist, with the same begin and end."""
        ours, theirs = self.ours, self.theirs
        return bool(ours and theirs and (ours.begin, ours.end) == (theirs.begin, theirs.end))


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """How two rule sets differ in a rule: numbers of episodes.

    only_ours, only_theirs: of one set alone. same: of both. moved: of both, at other times.
    """

    rule: str
    only_ours: int
    only_theirs: int
    same: int
    moved: int


def compared(ours: Sequence[Episode], theirs: Sequence[Episode]) -> list[Pair]:
    """Pair the episodes of both, in the order of time.

    Of each rule and series, the earliest episodes that overlap form a pair; each episode is in one pair.
    """
    mine, others = _by_series(ours), _by_series(theirs)
    pairs = [pair for key in {**mine, **others} for pair in _paired(mine.get(key, []), others.get(key, []))]
    return sorted(pairs, key=lambda pair: (pair.either.begin, pair.either.rule, pair.either.series))


def differences(pairs: Sequence[Pair]) -> list[RuleDifference]:
    """Count the pairs by rule."""
    rules = sorted({pair.either.rule for pair in pairs})
    return [_difference(rule, [pair for pair in pairs if pair.either.rule == rule]) for rule in rules]


def _difference(rule: str, pairs: Sequence[Pair]) -> RuleDifference:
    both = [pair for pair in pairs if pair.ours and pair.theirs]
    same = sum(pair.same for pair in both)
    return RuleDifference(
        rule,
        only_ours=sum(pair.theirs is None for pair in pairs),
        only_theirs=sum(pair.ours is None for pair in pairs),
        same=same,
        moved=len(both) - same,
    )


def _by_series(found: Sequence[Episode]) -> Mapping[tuple[str, str], list[Episode]]:
    series: dict[tuple[str, str], list[Episode]] = {}
    for episode in sorted(found, key=lambda episode: episode.begin):
        series.setdefault((episode.rule, episode.series), []).append(episode)
    return series


def _paired(ours: Sequence[Episode], theirs: Sequence[Episode]) -> Iterator[Pair]:
    left, right = [*reversed(ours)], [*reversed(theirs)]
    while left and right:
        mine, other = left[-1], right[-1]
        if mine.begin <= _end(other) and other.begin <= _end(mine):
            yield Pair(left.pop(), right.pop())
        elif mine.begin < other.begin:
            yield Pair(left.pop(), None)
        else:
            yield Pair(None, right.pop())
    yield from (Pair(episode, None) for episode in reversed(left))
    yield from (Pair(None, episode) for episode in reversed(right))


def _end(episode: Episode) -> int:
    return FOREVER if episode.end is None else episode.end
