"""The reading of a detector: its verdict on one series at one time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final, Literal, NamedTuple, overload

from llmvitals.record.alert import Outlook

Verdict = Literal["breach", "hold", "clear", "none"]
"""Beyond the limit; unchanged, such as between the limit and the release; normal; too few calls."""


NoData = Literal["ok", "keep", "alert", "no_data"]
"""What to do with too few calls: a firing alert resolves (ok) or stays (keep); they count as a breach
(alert); or
an alert of its own fires, with the level "no data" (no_data)."""

NO_DATA: Final = "no data"
"""The level of an alert about too few calls."""


class Stand(NamedTuple):
    """The values of a detector's statistic: fields of a point of its kind's measurement (metrics.columns).

    tags: beside view, window, rule and the series. end: the event time (µs) of the minute's end.
    """

    end: int
    measures: Mapping[str, float]
    counts: Mapping[str, int] = {}
    tags: Mapping[str, str] = {}
    texts: Mapping[str, str] = {}


class Deferred(Sequence[Stand]):
    """Stands that are computed when they are first read: a backtest, which has no points, reads none.

    compute: may read a state, so they have to be read before that changes.
    """

    def __init__(self, compute: Callable[[], Sequence[Stand]]) -> None:
        self._compute = compute

    @cached_property
    def _stands(self) -> Sequence[Stand]:
        return self._compute()

    @overload
    def __getitem__(self, place: int) -> Stand: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Stand]: ...
    def __getitem__(self, place: int | slice) -> Stand | Sequence[Stand]:
        return self._stands[place]

    def __len__(self) -> int:
        return len(self._stands)


class Reading(NamedTuple):
    """A verdict with its numbers.

    at: event time, µs. value, limit: in the metric's unit, or numbers of calls if there are too few. level: a
    budget's threshold ("80%"), which may rise within an episode. begin: identifies the episode, such as a
    budget's period; "": the begin of the alert does. facet, note, ends, steer, outlook, unpriced: see
    Alert's facet, note, ends, verdict, outlook and unpriced. beside: further measures of a budget.
    stands: values of the statistic to write as points.
    """

    at: int
    verdict: Verdict
    value: float
    limit: float
    level: str = ""
    begin: str = ""
    facet: str = ""
    note: str = ""
    ends: int | None = None
    steer: str = ""
    beside: Mapping[str, float] | None = None
    stands: Sequence[Stand] = ()
    outlook: Outlook | None = None
    unpriced: tuple[int, int] | None = None

    @property
    def gone(self) -> bool:
        """Whether the breach is too few calls. Then value and limit are numbers of calls."""
        return self.verdict == "breach" and self.level == NO_DATA
