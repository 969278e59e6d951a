"""Finds the metrics of a series that have changed, every STEP, and reports them in one alert."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.metrics.quantity import amount
from llmvitals.metrics.registry import metric_of
from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.kinds.change import groups
from llmvitals.rules.kinds.change.change_points import LEAST
from llmvitals.rules.kinds.change.minutes import counted, margin, units, value
from llmvitals.window import DAY, FOREVER, MINUTE, NEVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.change.change_points import Search
    from llmvitals.rules.kinds.change.minutes import Minutes

    Floats = NDArray[np.float64]

STEP: Final = 5 * MINUTE
KEPT: Final = 90
"""Minutes with calls that are kept."""
NAMED: Final = 5
"""The most changes that a note names."""
_PRIOR: Final = 1.85
"""The assumed mean distance of the sides at first; values may be autocorrelated."""
_WEIGHT: Final = 36
_LONGEST: Final = 2_016
"""A week of STEPs, over which the mean distance of the sides is kept."""
_BACK: Final = 0.25
"""A metric is back if this share of its change is left, at most."""


@dataclass(frozen=True, slots=True)
class ChangeDetector(Detector):
    """The detector of one series. hold: how long a change is reported, µs. pane: µs.

    State: "open": panes not yet looked at; "rest": panes of minutes that have too few calls so far; "names"
    and "minutes" of "rows" (float32, NaN where a metric has no value), and "calls" of each row; "usual": name
    → [how often looked at, mean of how far apart sides were]; "groups": share → see groups.learned, of rows
    that are no longer kept; "told": name → [when it changed and when that was found (µs), value
    before, value after]; "levels": name → see `_returns`.

    river's objects are not plain data. They are created for each search over the kept minutes, so the result
    depends on those minutes only.
    """

    minutes: Minutes
    search: Search
    hold: int
    pane: int

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"change 4 {self.minutes.names} {self.minutes.few} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        at = (pane + 1) * self.pane
        if vitals is not None:
            state.setdefault("open", []).append(self.minutes.packed(pane, vitals))
        if at % STEP == 0 and state.get("open"):
            self._search(state, at)
        elif not state.get("open") and at >= self._forgotten(state):
            was = "told" in state
            state.clear()
            return [Reading(at, "clear", 0, 0, note="no calls for a day")] if was else []
        return self._report(state, at)

    def wakes(self, state: dict[str, Any]) -> int:
        """The end of the STEP of the last calls, or of the time for which a change is reported."""
        if not state:
            return FOREVER
        if state.get("open"):
            first = (state["open"][0][0] * self.pane // STEP + 1) * STEP
        else:
            first = self._forgotten(state)
        time: int = min(first, self._ends(state))
        return -(-time // self.pane) - 1

    def _forgotten(self, state: Mapping[str, Any]) -> int:
        """A day after the last calls."""
        last: int = state["minutes"][-1] if state["minutes"] else 0
        if "rest" in state:
            last = max(last, state["rest"][-1][0] * self.pane // MINUTE)
        return last * MINUTE + DAY

    def _ends(self, state: Mapping[str, Any]) -> int:
        if "told" not in state:
            return FOREVER
        newest: int = max(entry[1] for entry in state["told"].values())
        return min(newest + self.hold, FOREVER)

    def _report(self, state: dict[str, Any], at: int) -> list[Reading]:
        if "told" not in state or (at % STEP and at < self._ends(state)):
            return []
        reported, many = state["told"], len(state["told"])
        if at >= self._ends(state):
            del state["told"]
            return [Reading(at, "clear", 0, 0, note=note(reported))]
        return [Reading(at, "breach", many, 0, level=_count(many), note=note(reported))]

    def _search(self, state: dict[str, Any], at: int) -> None:
        previous, minutes = state.get("names", []), state.setdefault("minutes", [])
        complete, rest = self.minutes.rows([*state.pop("rest", ()), *state.pop("open")])
        if rest:
            state["rest"] = rest
        if not complete:
            return
        since, metrics, numbers = self.minutes.read(complete)
        filled = np.flatnonzero(np.isfinite(numbers).any(axis=0)).tolist()
        new = {metrics[column]: column for column in filled}
        names = state["names"] = [*previous, *sorted({*new} - {*previous})]
        place = {name: column for column, name in enumerate(names)}
        rows = np.full((len(minutes) + len(since), len(names)), np.nan, np.float32)
        rows[: len(minutes), : len(previous)] = np.frombuffer(state.get("rows", b""), np.float32).reshape(
            len(minutes), len(previous)
        )
        rows[len(minutes) :, [place[name] for name in new]] = numbers[:, list(new.values())]
        minutes += since
        calls = state["calls"] = [*state.get("calls", ()), *self.minutes.calls(complete)]
        old = max(bisect_left(minutes, (at - DAY) // MINUTE), len(minutes) - KEPT)
        if old:
            _learn(state, rows[:old], np.array(calls[:old], np.float64))
            rows, minutes[:], calls[:] = rows[old:], minutes[old:], calls[old:]
        self._compare(state, rows, at)
        known = np.flatnonzero(np.isfinite(rows).any(axis=0)).tolist()
        if len(known) < len(names):
            state["names"] = [names[column] for column in known]
            kept = {*state["names"]}
            for part in ("usual", "groups", "levels"):
                state[part] = {name: entry for name, entry in state.get(part, {}).items() if name in kept}
            rows = rows[:, known]
        state["rows"] = rows.tobytes()

    def _compare(self, state: dict[str, Any], rows: NDArray[np.float32], at: int) -> None:
        """Search all columns; those with values in the same minutes are searched together."""
        there = np.isfinite(rows)
        if rows.size and there.all():
            self._changes(state, rows, (np.arange(len(rows)), list(range(rows.shape[1]))), at)
            return
        alike: dict[bytes, list[int]] = {}
        for column in range(rows.shape[1]):
            alike.setdefault(there[:, column].tobytes(), []).append(column)
        for columns in alike.values():
            places = np.flatnonzero(there[:, columns[0]])
            self._changes(state, rows, (places, columns), at)

    def _changes(
        self,
        state: dict[str, Any],
        rows: NDArray[np.float32],
        where: tuple[NDArray[np.int64], list[int]],
        at: int,
    ) -> None:
        places, columns = where
        names = [state["names"][column] for column in columns]
        usual = state.setdefault("usual", {})
        entries = [usual.setdefault(name, [_WEIGHT, _PRIOR]) for name in names]
        values = rows[np.ix_(places, np.array(columns))].astype(np.float64)
        means = np.array([mean for _, mean in entries])
        changed, widest = self.search.places(values, means, partial(margin, units(tuple(names))))
        for column, entry, first, far in zip(
            columns, entries, changed.tolist(), widest.tolist(), strict=True
        ):
            if len(places) >= LEAST:
                # A change counts as the greatest distance without a change.
                more = min(far, self.search.limit) - entry[1]
                entry[:] = [min(entry[0] + 1, _LONGEST), entry[1] + more / (entry[0] + 1)]
            if not first:
                continue
            name, number = state["names"][column], rows[places, column].astype(np.float64)
            if _many(state, name, number, (places, first)):
                sides = float(number[:first].mean()), float(number[first:].mean())
                # The values before the change are not compared with later ones.
                rows[places[:first], column] = np.nan
                if not _returns(state, name, sides, at) or name in state.get("told", ()):
                    since = state["minutes"][int(places[first])] * MINUTE
                    was, now = value(units((name,)), np.array(sides)).tolist()
                    state.setdefault("told", {})[name] = [since, at, was, now]


def _returns(state: dict[str, Any], name: str, sides: tuple[float, float], at: int) -> bool:
    """Whether a metric goes back to its level before a change of the last day, as at the end of an outage.

    sides: numbers before and after. State: "levels": name → [when that change was found (µs), the number
    before it].
    """
    levels = state.setdefault("levels", {})
    found, level = levels.get(name, (NEVER, 0.0))
    if at - found >= DAY:
        levels[name] = [at, sides[0]]
        return False
    back: bool = abs(sides[1] - level) <= _BACK * abs(sides[0] - level)
    if back:
        del levels[name]
    return back


def _learn(state: dict[str, Any], rows: NDArray[np.float32], calls: Floats) -> None:
    """Learn from rows that are no longer kept how many calls come together, for each share."""
    known, names = state.setdefault("groups", {}), state["names"]
    shares = value(units(tuple(names)), rows.astype(np.float64))
    # Of a share that is nearly 1 the calls that do not count are the rare ones.
    rare = np.minimum(shares, 1 - shares) * calls[:, None]
    for column, name in enumerate(names):
        if counted(name):
            there = np.isfinite(rows[:, column])
            known[name] = groups.learned(known.get(name, groups.NEW), rare[there, column])


def _many(state: dict[str, Any], name: str, values: Floats, where: tuple[NDArray[np.int64], int]) -> bool:
    """Whether a change of a share consists of more calls than a few groups have; others always do.

    values: of the rows whose numbers come first; then the first of these after the change.
    """
    if not counted(name):
        return True
    places, first = where
    calls = np.array(state["calls"], np.float64)[places]
    least = groups.least(state.get("groups", {}).get(name, groups.NEW))
    return groups.moved(value(units((name,)), values), calls, first) >= least


def _count(many: int) -> str:
    return "1 change" if many == 1 else f"{many} changes"


def note(reported: Mapping[str, Sequence[Any]]) -> str:
    """`latency p95 1.2 s → 1.9 s since 14:05 UTC; error share 1 % → 3 % since 14:10 UTC`."""
    ordered = sorted(reported.items(), key=lambda entry: (entry[1][0], entry[0]))
    texts = [
        f"{_words(name)} {_rounded(before, name)} → {_rounded(after, name)} since {_clock(since)}"
        for name, (since, _, before, after) in ordered[:NAMED]
    ]
    more = len(ordered) - NAMED
    return "; ".join(texts) + (f"; and {more} more" if more > 0 else "")


def _words(name: str) -> str:
    score = metric_of(name).score
    return f"score {score}" if score else name.replace("_", " ")


def _rounded(number: float, name: str) -> str:
    return amount(float(f"{number:.3g}"), metric_of(name).unit)


def _clock(time: int) -> str:
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%H:%M} UTC"
