"""Adds up closed panes to minutes, and minutes to longer windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.merge.bucket import ClosedPanes
from llmvitals.merge.plan import SPARE
from llmvitals.merge.series_rows import SeriesRows
from llmvitals.merge.series_table import SeriesTable
from llmvitals.record.details import Details, DetailsOfRow
from llmvitals.record.rows import Rows
from llmvitals.sketch import scores, top_k
from llmvitals.sketch.runs import runs
from llmvitals.window import MINUTE, ROLLUPS, duration_text, window_start

Ints = NDArray[np.int64]

LONGER: Final = {name: length for name, length in ROLLUPS.items() if length > MINUTE}


class Windows(NamedTuple):
    """The newest contents of windows of a view: the series (its key), start (µs) and vitals of each.

    window: their name.
    """

    view: str
    window: str
    names: list[bytes]
    starts: Ints
    rows: Rows

    @classmethod
    def of(cls, view: str, window: str, table: SeriesTable, found: SeriesRows) -> Windows:
        """The windows of rows of a table."""
        return cls(view, window, table.name(found), found.starts, found.rows)

    def part(self, start: int, end: int) -> Windows:
        """The windows from start up to end, or up to the last."""
        names, starts = self.names[start:end], self.starts[start:end]
        return Windows(self.view, self.window, names, starts, self.rows.part(start, start + len(names)))


def together(every: Iterable[Windows]) -> list[Windows]:
    """The windows of the same view and name together: numpy is faster with many."""
    groups: dict[tuple[str, str], list[Windows]] = {}
    for windows in every:
        groups.setdefault((windows.view, windows.window), []).append(windows)
    return [
        Windows(
            view,
            window,
            [name for part in parts for name in part.names],
            np.concatenate([part.starts for part in parts]),
            Rows.concatenated([part.rows for part in parts]),
        )
        for (view, window), parts in groups.items()
    ]


@dataclass(frozen=True, slots=True)
class Rollup:
    """Rolls up panes. pane_us: length of a pane, µs. contributors: how many a point shows.

    Law: the content of a window is the exact sum of its panes, late calls too, except for contributors, which
    are cut to `contributors × SPARE` for each kind, and the `contributors` heaviest of the newest minute,
    whenever a minute is complete (at the same points in every replay), for scores, of which a series keeps
    the scores.MOST names that came first in a day, and for exemplars, embeddings and cells: no point shows
    them, so minutes and longer windows have none.
    """

    pane_us: int
    contributors: int

    def take(
        self, view: str, table: SeriesTable, closed: ClosedPanes | None, *, now: int
    ) -> Iterator[Windows]:
        """Roll up closed panes, and the minutes that end by `now` (µs). Yields the changed windows."""
        if closed is not None:
            panes = whole(table, closed)
            panes = replace(panes, starts=panes.starts * self.pane_us)
            if self.pane_us < MINUTE:
                yield Windows.of(view, duration_text(self.pane_us), table, panes)
            self._add_to_minutes(table, _with_details(panes, _shown(panes)))
        changed: dict[tuple[str, int], list[Ints]] = {}
        for start in sorted(start for start in table.minutes if start + MINUTE <= now):
            minute = SeriesRows.concatenated(table.minutes.pop(start)).summed()
            details = {row: self._cut(part) for row, part in minute.rows.details.items()}
            minute = _with_details(minute, self._limit_scores(table, minute, details))
            yield Windows.of(view, "1m", table, minute)
            for name in LONGER:
                window = self._add(table, name, minute)
                changed.setdefault((name, window), []).append(minute.series)
        for (name, start), series in changed.items():
            window_rows = table.windows[name][start]
            places = np.searchsorted(window_rows.series, np.unique(np.concatenate(series)))
            yield Windows.of(view, name, table, window_rows.take(places))

    def drop(self, table: SeriesTable, now: int) -> bool:
        """Drop the complete windows. Returns whether there were any."""
        ended = [
            (name, start)
            for name, starts in table.windows.items()
            for start in starts
            if start + ROLLUPS[name] <= now
        ]
        for name, start in ended:
            del table.windows[name][start]
            if not table.windows[name]:
                del table.windows[name]
        return bool(ended)

    def _add_to_minutes(self, table: SeriesTable, panes: SeriesRows) -> None:
        minutes = panes.starts - panes.starts % MINUTE
        panes = replace(panes, starts=minutes)
        for start, end in runs(minutes):
            table.minutes.setdefault(int(minutes[start]), []).append(panes.part(start, end))

    def _add(self, table: SeriesTable, name: str, minute: SeriesRows) -> int:
        """Add a minute to the window of this name that it is in, and return its start."""
        start = window_start(int(minute.starts[0]), ROLLUPS[name])
        added = replace(minute, starts=np.full(len(minute), start))
        windows = table.windows.setdefault(name, {})
        if (previous := windows.get(start)) is not None:
            both = SeriesRows.concatenated((previous, added)).summed()
            details = dict(both.rows.details)
            for place, row in enumerate(np.searchsorted(both.series, minute.series).tolist()):
                if row in details:
                    details[row] = self._cut(details[row], minute.rows.details.get(place))
            added = _with_details(both, details)
        windows[start] = added
        return start

    def _limit_scores(
        self, table: SeriesTable, minute: SeriesRows, details: dict[int, DetailsOfRow]
    ) -> dict[int, DetailsOfRow]:
        """Limit the names of scores that a series has in a day, because each name is a tag in the store."""
        start = window_start(int(minute.starts[0]), ROLLUPS["1d"])
        day = table.windows.get("1d", {}).get(start)
        for row, part in details.items():
            found = Details.unpack(part)
            if not found.scores:
                continue
            known = _scores(day, int(minute.series[row])) if day else {}
            new = sorted(found.scores.keys() - known.keys())
            if len(known) + len(new) > scores.MOST:
                kept = {*known, *new[: scores.MOST - len(known)]}
                limited = {name: score for name, score in found.scores.items() if name in kept}
                details[row] = replace(found, scores=limited)
        return details

    def _cut(self, part: DetailsOfRow, newest: DetailsOfRow | None = None) -> DetailsOfRow:
        """Keep the heaviest contributors. newest: of the minute that was added.

        Its heaviest stay as well: who spends steadily would else be cut every minute, as long as others
        have spent more before, and would never get to the top.
        """
        details = Details.shown(part)
        if not details.contributors:
            return details
        kept = top_k.cut(details.contributors, self.contributors * SPARE)
        for kind, shares in Details.shown(newest).contributors.items() if newest is not None else ():
            known = details.contributors[kind]
            kept[kind] |= {name: known[name] for name, _ in top_k.heaviest(shares, self.contributors)}
        return replace(details, contributors=kept)


def whole(table: SeriesTable, closed: ClosedPanes) -> SeriesRows:
    """Closed panes with all calls, late ones too."""
    rows, late = closed
    if not late:
        return rows
    every = [(pane, key, part) for (pane, key), parts in late.items() for part in parts.values()]
    return SeriesRows.concatenated((rows, table.rows(every))).summed()


def _shown(panes: SeriesRows) -> dict[int, DetailsOfRow]:
    """The details that points show."""
    details = ((row, Details.shown(part)) for row, part in panes.rows.details.items())
    return {row: part for row, part in details if part}


def _with_details(found: SeriesRows, details: Mapping[int, DetailsOfRow]) -> SeriesRows:
    return replace(found, rows=replace(found.rows, details=details))


def _scores(day: SeriesRows, series: int) -> Mapping[str, object]:
    """The scores that a series has in a day so far."""
    place = int(np.searchsorted(day.series, series))
    if place == len(day) or day.series[place] != series or place not in day.rows.details:
        return {}
    return Details.unpack(day.rows.details[place]).scores
