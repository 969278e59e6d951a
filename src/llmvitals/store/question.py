"""Turns a question of `llmvitals query` into a request to a store."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from llmvitals.errors import ConfigError
from llmvitals.metrics.columns import CALLS, CANARY, COUNTS, DRIFT, SCORES, TOXICITY
from llmvitals.metrics.registry import METRICS, measures
from llmvitals.record.view import DEFAULT_VIEWS
from llmvitals.store.series import tag
from llmvitals.window import ROLLUPS, SECOND, duration, duration_text, window_start

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Metric
    from llmvitals.settings import Settings

Number = int | float


@dataclass(frozen=True, slots=True)
class Stored:
    """How points hold a metric: the fields that it is computed from, and the computation.

    of: called with the window's length in seconds and the values of the fields. measurement: the one that
    has the fields. tags: those of the points that hold the metric.
    """

    fields: tuple[str, ...]
    of: Callable[..., Number | None] = lambda _, value: value
    measurement: str = CALLS
    tags: Mapping[str, str] = field(default_factory=dict)

    def value(self, fields: Mapping[str, Number], seconds: float) -> Number | None:
        """Return its value at one point, None if a field is missing. seconds: the length of the window."""
        values = [fields.get(name) for name in self.fields]
        return None if None in values else self.of(seconds, *values)


def _stored(metric: Metric) -> Stored:
    """Return the metric's own field, or the counts of the same point that it is computed from."""
    if metric.field:
        return Stored((metric.field,), measurement=metric.measurement)
    names = metric.sums

    def of(seconds: float, *values: int) -> float | None:
        return metric.of(dict(zip(names, values, strict=True)).__getitem__, seconds)

    return Stored(names, of, metric.measurement)


_FIELDS: Final = {
    name: measurement
    for measurement in (TOXICITY, CALLS)
    for name in (*COUNTS[measurement], *measures(measurement))
}
STORED: Final[dict[str, Stored]] = {
    **{name: Stored((name,), measurement=measurement) for name, measurement in _FIELDS.items()},
    **{name: _stored(metric) for name, metric in METRICS.items()},
    **{
        f"{measurement.removeprefix('llm_')}_{name}": Stored((name,), measurement=measurement)
        for measurement in (DRIFT, CANARY)
        for name in (*COUNTS[measurement], *measures(measurement))
    },
}
"""Name in a query → how it is stored: every metric of the registry, and every field of the measurements.

Those of drift and canaries have `drift_` and `canary_` before them. Scores are asked for by their names.
"""
_SCORE: Final = re.compile(r"score\.(.+)_(mean|deviation|count)", re.DOTALL)


def stored(name: str) -> Stored:
    """Return how a metric is stored. Raises ConfigError with a similar name."""
    if found := _SCORE.fullmatch(name):
        column = "scores" if found[2] == "count" else f"score_{found[2]}"
        return Stored((column,), measurement=SCORES, tags={"score": found[1]})
    if name.startswith("score."):
        raise ConfigError(f"{name!r} is no metric: write score.NAME_mean, or its _deviation or _count")
    if name in METRICS:
        return _stored(METRICS[name])
    _one_of("metric", name, {**METRICS, **STORED})
    return STORED[name]


@dataclass(frozen=True, slots=True)
class Question:
    """One metric, by some dimensions, in the windows that lie in, or reach into, a span of time.

    since, until: a duration before now (`24h`) or a time (`2026-07-01T00:00:00Z`). where: dimension → value.
    view: the name of a view, if `by` alone does not identify it (empty: found by `by`).
    """

    metric: str
    by: tuple[str, ...] = ()
    window: str = "1h"
    since: str = "24h"
    until: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    view: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a store: points with since ≤ start < until, in µs; view, window: "" for any."""

    view: str
    window: str
    since: int
    until: int
    fields: tuple[str, ...]
    where: Mapping[str, str]
    measurement: str = CALLS


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer of a store: one point's start in µs, its dimensions and the requested fields."""

    start: int
    tags: Mapping[str, str]
    fields: Mapping[str, Number]


def understand(question: Question, settings: Settings, now: int) -> tuple[Request, tuple[str, ...] | None]:
    """Return the request, and the view's dimensions (None if the view is not known). now: µs.

    Raises ConfigError with the wrong word and what to write instead.
    """
    metric = stored(question.metric)
    pane = duration(settings.pane)
    windows = {duration_text(pane): pane, **ROLLUPS}
    window = _one_of("window", question.window, windows)
    # The points of statistics are a rule's, whatever its view and its window.
    ruled = metric.measurement in (DRIFT, CANARY)
    view, by = (question.view or "", None) if ruled else _view(question, settings)
    if by is not None and (wrong := [name for name in question.where if name not in by]):
        split = f"it is split by {', '.join(by)}" if by else "it is not split at all"
        raise ConfigError(f"where: view {view} has no {', '.join(wrong)}; {split}")
    since = window_start(moment(question.since, now), windows[window])
    until = moment(question.until, now) if question.until else now + SECOND
    if since >= until:
        raise ConfigError("since lies after until: nothing can be in between")
    where = {tag(name): tag(value) for name, value in {**question.where, **metric.tags}.items()}
    place = (view and tag(view), "" if ruled else window)
    return Request(*place, since, until, metric.fields, where, metric.measurement), by


def moment(text: str, now: int) -> int:
    """Return the time in µs of a duration before `now` or an ISO 8601 text (UTC by default)."""
    try:
        return now - duration(text)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time: write how long ago, such as 24h, or 2026-07-01T00:00:00Z"
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(time.timestamp() * SECOND)


def _view(question: Question, settings: Settings) -> tuple[str, tuple[str, ...] | None]:
    there = {view.name: tuple(view.by) for view in DEFAULT_VIEWS} if settings.default_views else {}
    whole = set(there) | {view.name for view in settings.views if not view.where}
    there |= {view.name: tuple(view.by) for view in settings.views}
    wanted = question.by
    if question.view is not None:
        by = there.get(question.view)
        if by is not None and not set(wanted) <= set(by):
            raise ConfigError(
                f"view {question.view} is not split by {', '.join(wanted)}, but by {_split(by)}"
            )
        return question.view, by
    for name, by in there.items():
        if name in whole and set(by) == set(wanted):
            return name, by
    listed = ", ".join(f"{name} (by {_split(by)})" for name, by in there.items())
    raise ConfigError(
        f"No view is split by just {_split(wanted)}. There are: {listed}. "
        "Ask for one of these, or add one to `views` in the settings."
    )


def _split(by: tuple[str, ...]) -> str:
    return ", ".join(by) or "nothing"


def _one_of(what: str, name: str, names: Mapping[str, object]) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    raise ConfigError(f"{name!r} is no {what}: {hint}")
