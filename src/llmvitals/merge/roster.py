"""Limits the names (series) of each view, so that memory stays bounded: further names count in `_other`."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

import msgspec

from llmvitals.errors import StateLost
from llmvitals.merge.plan import Limits, MergePlan
from llmvitals.merge.view_state import ViewState, live_homes
from llmvitals.metrics.columns import CARDINALITY
from llmvitals.record.point import Point
from llmvitals.record.series import series_of
from llmvitals.record.view import OTHER
from llmvitals.tracebacks import summary
from llmvitals.window import DAY, FOREVER, HOUR, NEVER, duration_text

ESTABLISHED: Final = 31
"""Days for which a name that was seen on two days keeps its place: as long as a monthly budget."""
DELTA: Final = 2_000
"""Changes of names that the manifest may hold; with more of them, all names are written to a part."""

Place = tuple[int, int, int]
"""The pane from which on a name has a place, and the first and the last period in which it was seen."""


class RosterState(msgspec.Struct, array_like=True):
    """The roster in the manifest, as at the manifest's offset.

    limits: (offset from which on they are in force, limits or None for none). decided: frames below
    this offset are decided. slot, stamp: the part with the names, and its offset (-1: no part). views: view →
    state. changed: names that changed since `stamp` (None: the name lost its place).
    """

    limits: list[tuple[int, Limits | None]] = []
    decided: int = 0
    slot: int = 0
    stamp: int = -1
    views: dict[str, ViewState] = {}
    changed: dict[str, dict[bytes, Place | None]] = {}


class _FrameChange(NamedTuple):
    """The changes that the frame at this offset made in one view."""

    offset: int
    view: str
    state: ViewState
    places: dict[bytes, Place | None]


class _SavedNames(msgspec.Struct, array_like=True):
    stamp: int
    places: dict[str, dict[bytes, Place]]


class Roster:
    """The names of a shard's views: a pure function of the frames, in the order of the log.

    A name keeps its place while it is seen in each period, and for one more period; if it was seen on two
    days, for ESTABLISHED days. New names get the free places, and are cut when there are none. Law: whether
    an entry of (name, pane) is cut never changes while the pane is open, so the series and `_other` add up:
    names get a place only for panes after `last_cut`, and lose it only when the floor has passed all of their
    panes.

    saved, parts: of a checkpoint. until: the greatest offset that a bucket of it has applied. Replayed frames
    are decided by the limits that were in force then, so a changed setting counts nothing twice. cut: view →
    entries counted in `_other` since the start.
    Raises StateLost when the parts do not belong to `saved`.
    """

    def __init__(self, plan: MergePlan, *, saved: RosterState, parts: dict[str, bytes], until: int) -> None:
        self.cut: Counter[str] = Counter()
        self._plan, self._saved = plan, saved
        if not saved.limits:  # a checkpoint of a version without a roster
            saved.limits.append((NEVER, None if until else plan.limits))
        until = max(until, saved.decided)
        self.unsaved = saved.limits[-1][1] != plan.limits
        """Whether the limits in force are in no manifest yet."""
        if self.unsaved:
            saved.limits.append((until, plan.limits))
        # Views that were removed from the settings are dropped.
        saved.views = {view: state for view, state in saved.views.items() if view in plan.views}
        saved.changed = {view: places for view, places in saved.changed.items() if view in plan.views}
        read = _read_names(saved, parts)
        self._base = {view: places for view, places in read.items() if view in plan.views}
        self._states = {view: msgspec.structs.replace(state) for view, state in saved.views.items()}
        self._places = {view: dict(places) for view, places in self._base.items()}
        for view, places in saved.changed.items():
            _update(self._places.setdefault(view, {}), places)
        self._live: dict[str, dict[int, int]] = {}
        """View → the live homes of each period that the last frame ended or began."""
        self._changes: deque[_FrameChange] = deque()
        self._changed: dict[str, dict[bytes, Place | None]] = {}

    def rejected(self, offset: int, view: str, names: Sequence[bytes], panes: Sequence[int]) -> list[int]:
        """The places of entries that are counted in OTHER, and not under their own names.

        names: keys of series. panes: of each entry; they must be open.
        """
        places, pane_us, length = self._names_of(view), self._plan.pane_us, self.period(view)
        periods = {pane: pane * pane_us // length for pane in set(panes)}
        rejected = []
        for number, (place, pane) in enumerate(zip(map(places.get, names), panes, strict=True)):
            if place is not None and place[0] <= pane and periods[pane] <= place[2]:
                continue
            if not self._admits(offset, view, names[number], pane):
                rejected.append(number)
        return rejected

    def _admits(self, offset: int, view: str, key: bytes, pane: int) -> bool:
        """Whether an entry is counted under its own name, else in OTHER."""
        series = series_of(key)[1]
        if not series or OTHER in series:
            return True
        state, places = self._states.setdefault(view, ViewState()), self._names_of(view)
        period = pane * self._plan.pane_us // self.period(view)
        place = places.get(key)
        if place is not None and pane >= place[0]:
            if period > place[2]:
                # As if the floor had come there first, so that the order of frames does not matter.
                first = place[1] if self._last(view, place) >= period else period
                self._set(view, key, (place[0], first, period))
            return True
        if place is None and pane > state.last_cut and len(places) < self.limit(view, offset):
            self._set(view, key, (state.last_cut + 1, period, period))
            return True
        state.last_cut = max(state.last_cut, pane)
        state.note_cut(key, series)
        self.cut[view] += 1
        self._changed.setdefault(view, {})
        return False

    def end_frame(self, offset: int, low: int, *, rose: bool) -> list[Point]:
        """Finish a frame, with the floor at `low`: make points of what was cut, and drop old names."""
        out: list[Point] = []
        if rose:
            self._live.clear()
            for view, state in self._states.items():
                out += self._cardinality_points(view, state)
                if 0 <= low < FOREVER:  # below 0 while a source has no floor yet
                    self._begin_period(view, state, low * self._plan.pane_us // self.period(view))
        for view, places in self._changed.items():
            state = msgspec.structs.replace(self._states[view])
            self._changes.append(_FrameChange(offset, view, state, places))
        self._changed = {}
        return out

    def examples(self, view: str) -> tuple[str, ...]:
        """Some of the names that were cut in this period."""
        return self._states[view].examples if view in self._states else ()

    def live(self, view: str, pane: int, floor: int) -> Iterator[tuple[int, int]]:
        """How many homes are live, at least 1, from a pane on: (floor, how many up to it), last `floor`.

        In a period they are those of earlier ones that had a place when it began. So the limits of rules
        depend neither on the hour nor on the frames in which calls come; in its first period a view has one.
        """
        length, state = self.period(view) // self._plan.pane_us, self._states.get(view)
        periods = self._live.get(view, {})
        for period, live in periods.items():
            if pane < (end := (period + 1) * length) < floor:
                yield end, max(live, 1)
        yield floor, max(periods.get((floor - 1) // length, state.live if state else 0), 1)

    def limit(self, view: str, offset: int) -> int:
        """The number of names that a view may have in this shard, by the limits in force at an offset."""
        limits = next(limits for since, limits in reversed(self._saved.limits) if since <= offset)
        return FOREVER if limits is None else share(limits.of(self._plan.views[view]), self._plan.shards)

    def snapshot(self, offset: int, upto: int) -> tuple[RosterState, dict[str, bytes]]:
        """The roster for the manifest at this offset, and the part that has to be written before it, if any.

        upto: the offset expected next; its frame may be half done.
        """
        saved, self.unsaved = self._saved, False
        # A run before this one may have come further.
        saved.decided = max(saved.decided, upto + 1)
        while self._changes and self._changes[0].offset < offset:
            change = self._changes.popleft()
            saved.views[change.view] = change.state
            saved.changed.setdefault(change.view, {}).update(change.places)
        saved.limits = [
            entry
            for entry, after in zip_longest(saved.limits, saved.limits[1:])
            if not after or after[0] > offset
        ]
        if sum(map(len, saved.changed.values())) <= DELTA:
            return saved, {}
        for view, places in saved.changed.items():
            _update(self._base.setdefault(view, {}), places)
        # There are two parts in turn: the one that the last manifest names must stay until the next is
        # written.
        saved.slot, saved.stamp, saved.changed = 1 - saved.slot, offset, {}
        return saved, {_part(saved.slot): msgspec.msgpack.encode(_SavedNames(offset, self._base))}

    def _names_of(self, view: str) -> dict[bytes, Place]:
        return self._places.setdefault(view, {})

    def period(self, view: str) -> int:
        """The length of a view's period, µs: shorter for sessions, which come and go within a day."""
        return HOUR if "session" in self._plan.views[view].by else DAY

    def _set(self, view: str, key: bytes, place: Place | None) -> None:
        _update(self._names_of(view), {key: place})
        self._changed.setdefault(view, {})[key] = place

    def _begin_period(self, view: str, state: ViewState, period: int) -> None:
        """Begin a period, if it is new: names that were not seen lately lose their places."""
        if period <= state.period:
            return
        self._live[view] = {state.period: state.live} | live_homes(self._lives(view), state.period, period)
        for key, place in list(self._names_of(view).items()):
            if self._last(view, place) < period:
                self._set(view, key, None)
        if state.period > NEVER:
            state.reset()
        state.period, state.live = period, self._live[view][period]
        self._changed.setdefault(view, {})

    def _lives(self, view: str) -> Counter[tuple[int, int]]:
        """The homes (see View) by the period in which each came, and the last in which it keeps its place."""
        places = self._names_of(view)
        if not self._plan.views[view].split:
            few = Counter([(first, last) for _, first, last in places.values()]).items()
            return Counter({(seen[0], self._last(view, (0, *seen))): many for seen, many in few})
        homes: dict[tuple[str, ...], tuple[int, int]] = {}
        for key, place in places.items():
            home, life = series_of(key)[1][:-1], (place[1], self._last(view, place))
            known = homes.get(home, life)
            homes[home] = min(known[0], life[0]), max(known[1], life[1])
        return Counter(homes.values())

    def _last(self, view: str, place: Place) -> int:
        """The last period in which a name keeps its place if it is not seen again."""
        _, first, last = place
        return last + (ESTABLISHED if last > first and self.period(view) == DAY else 1)

    def _cardinality_points(self, view: str, state: ViewState) -> Iterator[Point]:
        """Make the point of cardinality of a view, if more was cut than the last point reported."""
        if state.cut <= state.reported:
            return
        state.reported, length = state.cut, self.period(view)
        self._changed.setdefault(view, {})
        period = state.period if state.period > NEVER else state.last_cut * self._plan.pane_us // length
        yield Point(
            measurement=CARDINALITY,
            start=period * length,
            tags={"view": view, "window": duration_text(length), "shard": str(self._plan.shard)},
            counts={"names": len(self._names_of(view)), "cut": state.cut_names()},
            measures={},
            texts={"name": view, "examples": ", ".join(state.examples)},
            upto=state.last_cut,
        )


def share(limit: int, shards: int) -> int:
    """The number of a view's names that one shard may have.

    Names fall on shards by their hash, so four standard deviations are added: a view with fewer names than
    the limit loses any with a probability of 1 in 30,000.

    >>> share(20_000, 1), share(20_000, 4), share(10, 4)
    (20000, 5283, 9)
    """
    return limit if shards == 1 else math.ceil(limit / shards + 4 * math.sqrt(limit / shards))


def _part(slot: int) -> str:
    return f"names/{slot}"


def _read_names(saved: RosterState, parts: dict[str, bytes]) -> dict[str, dict[bytes, Place]]:
    """Read the names as at the saved stamp."""
    if saved.stamp < 0:
        return {}
    try:
        names = msgspec.msgpack.decode(parts[_part(saved.slot)], type=_SavedNames)
    except (KeyError, msgspec.DecodeError) as error:
        raise StateLost(f"the names of a checkpoint can't be read ({summary(error)}): {CURE}") from error
    if names.stamp != saved.stamp:
        raise StateLost(f"the names of a checkpoint are of offset {names.stamp}, not {saved.stamp}: {CURE}")
    return names.places


def _update(places: dict[bytes, Place], changed: dict[bytes, Place | None]) -> None:
    for key, value in changed.items():
        if value is None:
            places.pop(key, None)
        else:
            places[key] = value


CURE: Final = "start merge in a new `group`, so that it reads the partials again from their beginning"
