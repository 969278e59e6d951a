"""`drift show` and `drift baseline show`: how far series are from their references, from the store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.show import iso, labelled, when
from llmvitals.errors import ConfigError
from llmvitals.metrics.columns import DRIFT
from llmvitals.metrics.quantity import span
from llmvitals.report.plot import bars, columns
from llmvitals.store.question import moment
from llmvitals.store.stored import stored
from llmvitals.window import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

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
        """A field where it is there."""
        return [(at, fields[field]) for at, fields in self.points if fields.get(field) is not None]


@dataclass(frozen=True, slots=True)
class Found:
    """What a store holds of a time (µs)."""

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

    places: tags that are no labels. Of each its labels, sorted, its tags, (minute's end in µs, fields).
    """
    for start, tags, fields in sorted(points, key=itemgetter(0)):
        labels = tuple(sorted((name, value) for name, value in tags.items() if name not in places))
        if rule in (None, tags["rule"]) and where.items() <= dict(labels).items():
            yield labels, tags, (start + MINUTE, fields)


def told(point: tuple[int, Mapping[str, Any]]) -> dict[str, Any]:
    """A point for programs: its time, and the fields that are there."""
    at, fields = point
    return {"time": iso(at), **{name: value for name, value in fields.items() if value is not None}}


async def found(
    settings: Settings, since: str, rule: str | None, where: Mapping[str, str], *, clock: Clock = time.time
) -> Found:
    """The courses of drift since a duration ago or a time, of one rule and of series with these values.

    Raises ConfigError for a wrong `since` and where no store is set, SinkError when the store says no.
    """
    begin, end = span_of(since, clock)
    courses: dict[tuple[str, Key], list[tuple[int, Mapping[str, Any]]]] = {}
    points = await stored(settings, DRIFT, begin, end)
    for labels, tags, point in chosen(points, rule, where, _PLACES):
        courses.setdefault((tags["rule"], labels), []).append(point)
    return Found(begin, end, [Course(name, dict(key), each) for (name, key), each in sorted(courses.items())])


def charts(seen: Found, console: Console) -> None:
    """A chart for each series."""
    if not seen.courses:
        console.print("No rule of drift has said anything in this time.")
    for course in seen.courses:
        console.print(title(course))
        console.print(head(course))
        drawn = course.of("statistic")
        if not drawn:
            console.print()
            continue
        width = max(min(console.width - 9, 120), 20)
        begin = max(seen.begin, min(at for at, _ in drawn) - MINUTE)
        end, limit = drawn[-1][0], course.newest.get("threshold") or 1.0
        for line in bars(columns(drawn, begin, end + 1, width), limit):
            console.print(line)
        left, right = when(begin), when(end)
        console.print(Text(f"       {left}{right.rjust(width - len(left))}\n", "dim"))


def title(course: Course) -> Text:
    """Rule and series."""
    return Text.assemble((course.rule, "bold"), "  ", labelled(course.labels))


def head(course: Course) -> Text:
    """What is known at the end of a course."""
    fields = course.newest
    statistic = fields.get("statistic")
    if statistic is None:
        return Text(f"learning, from {fields.get('reference_calls') or 0:,} calls so far of {_model(fields)}")
    limit = fields.get("threshold") or 1.0
    colour = "red" if statistic > limit else "yellow" if statistic > 0.7 * limit else "green"
    return Text.assemble(
        (f"{statistic:.2f}", colour),
        f" of {limit:g} (topics {fields.get('topics') or 0:.2f}, shape {fields.get('shape') or 0:.2f})"
        f" · reference {span(round((fields.get('reference_age_s') or 0) * SECOND))} old,"
        f" {fields.get('reference_calls') or 0:,} calls of {_model(fields)}"
        f" · φ {fields.get('overdispersion') or 0:.2f}",
    )


def references(seen: Found, console: Console) -> None:
    """A table of the references."""
    if not seen.courses:
        console.print("No rule of drift has said anything in this time.")
        return
    table = Table("rule", "series", "reference", "model", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("calls", "φ", "statistic", "threshold"):
        table.add_column(name, justify="right", no_wrap=True)
    for course in seen.courses:
        fields = course.newest
        there = fields.get("statistic") is not None
        age = span(round((fields.get("reference_age_s") or 0) * SECOND))
        table.add_row(
            Text(course.rule),
            labelled(course.labels),
            f"{age} old" if there else "learning",
            Text(_model(fields)),
            f"{fields.get('reference_calls') or 0:,}",
            f"{fields['overdispersion']:.2f}" if fields.get("overdispersion") is not None else "–",
            f"{fields['statistic']:.2f}" if there else "–",
            f"{fields.get('threshold') or 1.0:g}",
        )
    console.print(table)


def plain(seen: Found) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "rule": course.rule,
            "labels": dict(course.labels),
            "points": list(map(told, course.points)),
        }
        for course in seen.courses
    ]


def _model(fields: Mapping[str, Any]) -> str:
    return str(fields.get("model") or "an unknown model")
