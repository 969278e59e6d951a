"""Which series of a view have a place of their own, and which are counted in `_other`.

So memory and stores stay bounded, however many names calls bring.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final, NamedTuple

import msgspec

from llmvitals.errors import StateLost
from llmvitals.merge.plan import Limits, Plan, series_key
from llmvitals.record.columns import CARDINALITY
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.record.view import OTHER
from llmvitals.window import DAY, FOREVER, HOUR, NEVER, duration_text

ESTABLISHED: Final = 31
"""Days for which a name keeps its place that was there on two days at least: as long as a monthly budget."""
EXAMPLES: Final = 5
"""So many of the names that were cut are told."""
SAMPLE: Final = 256
"""So many hashes are kept to count the names that were cut."""
LONGEST: Final = 64
"""Characters of such a name."""
DELTA: Final = 2_000
"""So many changes of names stand in the manifest; with more, all names are written into another part."""

Held = tuple[int, int, int]
"""The pane from which on a name has its place, and the first and the last period in which it was there."""


class Head(msgspec.Struct, array_like=True):
    """What is known of a view beside its names.

    barred: the greatest pane in which a name was cut. period: the one that the floor is in. cut: entries
    that were counted in `_other` in it; told: how many of them a point has told; examples: of their names;
    least: the SAMPLE least hashes of their names, by which the names are counted.
    """

    barred: int = NEVER
    period: int = NEVER
    cut: int = 0
    told: int = 0
    examples: tuple[str, ...] = ()
    least: tuple[int, ...] = ()

    def count(self, key: bytes, name: str) -> None:
        """A name was cut."""
        self.cut += 1
        if len(self.examples) < EXAMPLES and name not in self.examples:
            self.examples = (*self.examples, name)
        found = int.from_bytes(hashlib.blake2b(key, digest_size=7).digest())
        if (len(self.least) < SAMPLE or found < self.least[-1]) and found not in self.least:
            self.least = tuple(sorted((*self.least, found))[:SAMPLE])

    def names(self) -> int:
        """How many names were cut; from SAMPLE on, within some per cent."""
        if len(self.least) < SAMPLE:
            return len(self.least)
        return (SAMPLE - 1) * 2**56 // self.least[-1]

    def begin(self) -> None:
        """Another period, of which nothing is known."""
        self.cut, self.told, self.examples, self.least = 0, 0, (), ()


class Mark(msgspec.Struct, array_like=True):
    """What the manifest says of the roster, as it was at the manifest's offset.

    limits: from which offset on which were in force; None: no limits. decided: below it all was. slot,
    stamp: the part that holds the names, and the offset as at which it does (-1: there is none); changed:
    what is another since (None: the name has no place any more).
    """

    limits: list[tuple[int, Limits | None]] = []
    decided: int = 0
    slot: int = 0
    stamp: int = -1
    heads: dict[str, Head] = {}
    changed: dict[str, dict[bytes, Held | None]] = {}


class _Change(NamedTuple):
    """What the frame at this offset changed in one view."""

    offset: int
    view: str
    head: Head
    held: dict[bytes, Held | None]


class _Names(msgspec.Struct, array_like=True):
    stamp: int
    held: dict[str, dict[bytes, Held]]


class Roster:
    """The names of a shard's views. A pure function of the frames, in the order of the log.

    A name that has a place keeps it as long as it is there in each period, and a period longer; one that was
    there on two days keeps it for ESTABLISHED days. New names get the places that are left, and are cut when
    there are none. Law: whether an entry of (name, pane) is cut never changes while the pane is open, so what
    of a pane is counted here and what in `_other` adds up: names get places only for panes after `barred`,
    and lose them only when the floor has passed all panes that they were in.

    mark, parts: of a checkpoint. until: the offset up to which a bucket of it is applied: what is replayed is
    decided by the limits that were in force then, so a change of the settings counts nothing twice. cut: view
    → entries counted in `_other`, since the start.
    Raises StateLost when the parts are not those of the mark.
    """

    def __init__(self, plan: Plan, *, mark: Mark, parts: dict[str, bytes], until: int) -> None:
        self.cut: Counter[str] = Counter()
        self._plan, self._mark = plan, mark
        if not mark.limits:  # of a version that had no roster
            mark.limits.append((NEVER, None if until else plan.limits))
        until = max(until, mark.decided)
        self.unsaved = mark.limits[-1][1] != plan.limits
        """Whether other limits are in force than any manifest says."""
        if self.unsaved:
            mark.limits.append((until, plan.limits))
        # A view that is none any more is forgotten.
        mark.heads = {view: head for view, head in mark.heads.items() if view in plan.views}
        mark.changed = {view: held for view, held in mark.changed.items() if view in plan.views}
        self._base = {view: held for view, held in _names(mark, parts).items() if view in plan.views}
        self._heads = {view: msgspec.structs.replace(head) for view, head in mark.heads.items()}
        self._held = {view: dict(held) for view, held in self._base.items()}
        for view, held in mark.changed.items():
            _update(self._held.setdefault(view, {}), held)
        self._changes: deque[_Change] = deque()
        self._frame: dict[str, dict[bytes, Held | None]] = {}

    def admits(self, offset: int, view: str, series: tuple[str, ...], pane: int) -> bool:
        """Whether an entry is counted by its own name; else in OTHER. Its pane must not be closed."""
        if not series or OTHER in series:
            return True
        head, held, key = self._heads.setdefault(view, Head()), self._of(view), series_key(view, series)
        period = pane * self._plan.pane_us // self._length(view)
        had = held.get(key)
        if had is not None and pane >= had[0]:
            if period > had[2]:
                self._note(view, key, (had[0], had[1], period))
            return True
        if had is None and pane > head.barred and len(held) < self.most(view, offset):
            self._note(view, key, (head.barred + 1, period, period))
            return True
        head.barred = max(head.barred, pane)
        head.count(key, _shown(series))
        self.cut[view] += 1
        self._frame.setdefault(view, {})
        return False

    def end(self, offset: int, low: int, *, moved: bool) -> list[Message]:
        """A frame's entries are done, the floor is at `low`: what was cut is told, old names are dropped."""
        out: list[Message] = []
        if moved:
            for view, head in self._heads.items():
                out += self._tell(view, head)
                if 0 <= low < FOREVER:  # below 0: a source has no watermark yet
                    self._turn(view, head, low * self._plan.pane_us // self._length(view))
        for view, held in self._frame.items():
            self._changes.append(_Change(offset, view, msgspec.structs.replace(self._heads[view]), held))
        self._frame = {}
        return out

    def examples(self, view: str) -> tuple[str, ...]:
        """Some of the names that were cut in this period."""
        return self._heads[view].examples if view in self._heads else ()

    def most(self, view: str, offset: int) -> int:
        """How many names a view may have in this shard, by the limits in force at an offset."""
        limits = next(limits for since, limits in reversed(self._mark.limits) if since <= offset)
        return FOREVER if limits is None else share(limits.of(self._plan.views[view]), self._plan.shards)

    def snapshot(self, offset: int, upto: int) -> tuple[Mark, dict[str, bytes]]:
        """What the manifest at this offset says, and the part that has to be written before it, if any.

        upto: the offset expected next; its frame may be under way.
        """
        mark, self.unsaved = self._mark, False
        mark.decided = max(mark.decided, upto + 1)  # a life before may have come further than this one
        while self._changes and self._changes[0].offset < offset:
            change = self._changes.popleft()
            mark.heads[change.view] = change.head
            mark.changed.setdefault(change.view, {}).update(change.held)
        mark.limits = [
            each
            for each, after in zip_longest(mark.limits, mark.limits[1:])
            if not after or after[0] > offset
        ]
        if sum(map(len, mark.changed.values())) <= DELTA:
            return mark, {}
        for view, held in mark.changed.items():
            _update(self._base.setdefault(view, {}), held)
        # The other part of the two: the one that the last manifest names must stay until the next is written.
        mark.slot, mark.stamp, mark.changed = 1 - mark.slot, offset, {}
        return mark, {_part(mark.slot): msgspec.msgpack.encode(_Names(offset, self._base))}

    def _of(self, view: str) -> dict[bytes, Held]:
        return self._held.setdefault(view, {})

    def _length(self, view: str) -> int:
        """The period of a view, µs: sessions come and go within a day."""
        return HOUR if "session" in self._plan.views[view].by else DAY

    def _note(self, view: str, key: bytes, held: Held | None) -> None:
        _update(self._of(view), {key: held})
        self._frame.setdefault(view, {})[key] = held

    def _turn(self, view: str, head: Head, period: int) -> None:
        """The floor is in a period: names that were not there lately lose their places."""
        if period <= head.period:
            return
        for key in [key for key, held in self._of(view).items() if not self._stays(view, held, period)]:
            self._note(view, key, None)
        if head.period > NEVER:
            head.begin()
        head.period = period
        self._frame.setdefault(view, {})

    def _stays(self, view: str, held: Held, period: int) -> bool:
        _, first, last = held
        days = ESTABLISHED if last > first and self._length(view) == DAY else 1
        return last >= period - days

    def _tell(self, view: str, head: Head) -> Iterator[Message]:
        """The point of a view in which more was cut than was told."""
        if head.cut <= head.told:
            return
        head.told, length = head.cut, self._length(view)
        self._frame.setdefault(view, {})
        period = head.period if head.period > NEVER else head.barred * self._plan.pane_us // length
        point = Point(
            measurement=CARDINALITY,
            start=period * length,
            tags={"view": view, "window": duration_text(length), "shard": str(self._plan.shard)},
            counts={"names": len(self._of(view)), "cut": head.names()},
            measures={},
            texts={"name": view, "examples": ", ".join(head.examples)},
            upto=head.barred,
        )
        yield Message(Topic.VITALS, series_key(view, (OTHER,)), point.encode())


def share(most: int, shards: int) -> int:
    """How many of a view's names one of the shards takes.

    Names fall on shards by their hash, so four standard deviations are added: who has fewer names than
    `most` loses none of them but once in 30,000.

    >>> share(20_000, 1), share(20_000, 4), share(10, 4)
    (20000, 5283, 9)
    """
    return most if shards == 1 else math.ceil(most / shards + 4 * math.sqrt(most / shards))


def _shown(series: tuple[str, ...]) -> str:
    text = "/".join(series)[:LONGEST]
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _part(slot: int) -> str:
    return f"names/{slot}"


def _names(mark: Mark, parts: dict[str, bytes]) -> dict[str, dict[bytes, Held]]:
    """The names as at the mark's stamp."""
    if mark.stamp < 0:
        return {}
    try:
        names = msgspec.msgpack.decode(parts[_part(mark.slot)], type=_Names)
    except (KeyError, msgspec.DecodeError) as error:
        raise StateLost(f"the names of a checkpoint can't be read ({error}): {CURE}") from error
    if names.stamp != mark.stamp:
        raise StateLost(f"the names of a checkpoint are of offset {names.stamp}, not {mark.stamp}: {CURE}")
    return names.held


def _update(held: dict[bytes, Held], changed: dict[bytes, Held | None]) -> None:
    for key, value in changed.items():
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value


CURE: Final = "start merge in a new `group`, so that it reads the partials again from their beginning"
