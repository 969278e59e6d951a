"""Reads from the store how far series are from their references."""

from __future__ import annotations

import time
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from llmvitals.backtest.show import iso
from llmvitals.errors import ConfigError
from llmvitals.metrics.columns import DRIFT
from llmvitals.store.question import moment
from llmvitals.store.registry import store_reader
from llmvitals.window import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from llmvitals.settings import Settings

    Clock = Callable[[], float]
    Key = tuple[tuple[str, str], ...]
    """A series' labels."""

_PLACES = ("view", "window", "rule")


@dataclass(frozen=True, slots=True)
class Course:
    """The points of one rule and series, in the order of time: event time (µs) and fields."""

    rule: str
    labels: Mapping[str, str]
    points: Sequence[tuple[int, Mapping[str, Any]]]

    @property
    def newest(self) -> Mapping[str, Any]:
        """The fields of the last point."""
        return self.points[-1][1]

    def of(self, field: str) -> list[tuple[int, float]]:
        """The times and values of a field, where a point has it."""
        return [(at, fields[field]) for at, fields in self.points if fields.get(field) is not None]


@dataclass(frozen=True, slots=True)
class Found:
    """The courses of drift between two times (µs)."""

    begin: int
    end: int
    courses: Sequence[Course]


def span_of(since: str, clock: Clock) -> tuple[int, int]:
    """The time (µs) from `since` to now. Raises ConfigError."""
    now = int(clock() * SECOND)
    try:
        return moment(since, now), now + 1
    except ConfigError as error:
        raise ConfigError(f"--since: {error}") from None


def chosen(
    points: Iterable[tuple[int, Mapping[str, str], Mapping[str, Any]]],
    rule: str | None,
    where: Mapping[str, str],
    places: Collection[str],
) -> Iterator[tuple[Key, Mapping[str, str], tuple[int, Mapping[str, Any]]]]:
    """Points of a rule (None: of all) and of series with these values, in the order of time.

    places: tags that are no labels. Yields labels (sorted), tags and (end of the minute in µs, fields).
    """
    for start, tags, fields in sorted(points, key=itemgetter(0)):
        labels = tuple(sorted((name, value) for name, value in tags.items() if name not in places))
        if rule in (None, tags["rule"]) and where.items() <= dict(labels).items():
            yield labels, tags, (start + MINUTE, fields)


def plain_point(point: tuple[int, Mapping[str, Any]]) -> dict[str, Any]:
    """A point as JSON has it: its time and its fields."""
    at, fields = point
    return {"time": iso(at), **{name: value for name, value in fields.items() if value is not None}}


async def found(
    settings: Settings, since: str, rule: str | None, where: Mapping[str, str], *, clock: Clock = time.time
) -> Found:
    """The courses of drift since a duration ago or a time, of one rule and of series with these values.

    Raises ConfigError for a wrong `since` and where no store is set, SinkError when it can't be read.
    """
    begin, end = span_of(since, clock)
    courses: dict[tuple[str, Key], list[tuple[int, Mapping[str, Any]]]] = {}
    points = await store_reader(settings).points(DRIFT, begin, end)
    for labels, tags, point in chosen(points, rule, where, _PLACES):
        courses.setdefault((tags["rule"], labels), []).append(point)
    return Found(
        begin, end, [Course(name, dict(key), course) for (name, key), course in sorted(courses.items())]
    )


def plain(seen: Found) -> list[dict[str, Any]]:
    """The courses as JSON has them."""
    return [
        {
            "rule": course.rule,
            "labels": dict(course.labels),
            "points": list(map(plain_point, course.points)),
        }
        for course in seen.courses
    ]
