"""Prepares points for writing: of each place the newest one. Points that can't be written are set aside.

What is the same for many points is looked at once: the tags of a series, and the names of the fields.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from llmvitals.record.point import Point, decode_each
from llmvitals.store.series import Series, series_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.log import Record

log: Final = structlog.get_logger(__name__)

T = TypeVar("T")

REMEMBERED: Final = 100_000
"""Places whose newest point is remembered; about 25 MB."""

KEYS: Final = frozenset({"view", "window", "start", "tags", "upto", "time"})
"""Names that fields can't have, because a store uses them itself."""

UNDECODABLE: Final = "undecodable"
"""The code of what is no point; the others are the store's own."""

_MEASUREMENT: Final = re.compile(r"llm_[a-z0-9_]{1,60}")
_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A measurement and the names of the fields that a point has. It is hashed by identity, as a Series."""

    measurement: str
    counts: tuple[str, ...]
    measures: tuple[str, ...]
    texts: tuple[str, ...]


class PlacedPoint(msgspec.Struct, frozen=True, gc=False):
    """A point that a store can hold, without measures that are not finite, with its series and shape."""

    point: Point
    series: Series
    shape: Shape

    @property
    def place(self) -> bytes:
        """The measurement, tags (as written) and start in 24 bytes."""
        return self.series.digest + self.point.start.to_bytes(8, signed=True)


def placed(point: Point) -> PlacedPoint:
    """Check that a store can hold the point, and place it. Raises ValueError with the reason."""
    measures = point.measures
    # One sum is quicker than a look at each. That it overflows is as harmless as rare.
    if not math.isfinite(sum(measures.values())):
        finite = {name: value for name, value in measures.items() if math.isfinite(value)}
        point = replace(point, measures=finite)
    shape = shape_of(point.measurement, tuple(point.counts), tuple(point.measures), tuple(point.texts))
    return PlacedPoint(point, series_of(point.measurement, tuple(point.tags.items())), shape)


@lru_cache(maxsize=1_024)
def shape_of(
    measurement: str, counts: tuple[str, ...], measures: tuple[str, ...], texts: tuple[str, ...]
) -> Shape:
    """Return the shape with these names, as far as possible the same object each time.

    Raises ValueError with the reason why no store can hold such a point.
    """
    if not _MEASUREMENT.fullmatch(measurement):
        raise ValueError("a measurement is called llm_… in small letters, digits and _")
    names = [*counts, *measures, *texts]
    if not names:
        raise ValueError("there are no fields")
    if not all(_FIELD.fullmatch(name) and name not in KEYS for name in names):
        raise ValueError("a field's name is small letters, digits and _, and none of a store's own columns")
    if len(set(names)) < len(names):
        raise ValueError("a field has two types")
    return Shape(measurement, counts, measures, texts)


@dataclass(slots=True)
class Counts:
    """Counts of points since the start; failures are also counted by the meters.

    written; superseded: older than another of its place, not written; undecodable: not a point, or one that
    no store can hold; set_aside: refused by the store; errors: failed requests or transactions.
    """

    meters: Meters | None = None
    written: int = 0
    superseded: int = 0
    undecodable: int = 0
    set_aside: int = 0
    errors: int = 0

    def lose(self, code: str, points: int = 1) -> None:
        """Count points that no store will ever take, and log the reason."""
        if code == UNDECODABLE:
            self.undecodable += points
        else:
            self.set_aside += points
        if self.meters is not None:
            self.meters.count("points_set_aside", points, code=code)

    def fail(self, code: str) -> None:
        """Count a failed request or transaction."""
        self.errors += 1
        if self.meters is not None:
            self.meters.count("store_errors", code=code)


class Newest(Generic[T]):
    """Takes records, and returns what to write of the newest point of each place (measurement, tags, start).

    It remembers what was written for the last REMEMBERED places, so that a late point of a zombie does not
    overwrite a newer one.

    make: makes of a point what the store writes. It is called with each point as soon as that is decoded,
    which takes two thirds of the time of making all of them afterwards.
    """

    def __init__(self, counts: Counts, make: Callable[[PlacedPoint], T]) -> None:
        self._counts, self._make = counts, make
        self._written: OrderedDict[bytes, int] = OrderedDict()
        self._tried: tuple[Sequence[Record], dict[bytes, tuple[int, T]]] | None = None

    def of(self, records: Sequence[Record]) -> dict[bytes, tuple[int, T]]:
        """Return place → `upto` of its newest point, and what was made of that.

        The newest is the one with the greatest `upto`, the last of equal ones. For the same records as in the
        last call, if they were not written since, it returns the same dict.
        """
        if self._tried is None or self._tried[0] is not records:
            self._tried = (records, self._of(records))
        return self._tried[1]

    def _of(self, records: Sequence[Record]) -> dict[bytes, tuple[int, T]]:
        newest: dict[bytes, tuple[int, T]] = {}
        for one in chain.from_iterable(map(self._points, records)):
            at, upto = one.place, one.point.upto
            before = newest.get(at)
            least = self._written.get(at) if before is None else before[0]
            if least is not None and upto < least:
                self._counts.superseded += 1
                continue
            self._counts.superseded += before is not None
            newest[at] = upto, self._make(one)
        return newest

    def forget(self) -> None:
        """Forget what was written: the store has lost it."""
        self._tried = None
        self._written.clear()

    def remember(self, written: dict[bytes, tuple[int, T]]) -> None:
        """Remember these points: they are in the store now."""
        self._tried = None
        for at, (upto, _) in written.items():
            self._written[at] = upto
            self._written.move_to_end(at)
        while len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    def _points(self, record: Record) -> Iterator[PlacedPoint]:
        """Yield the points of a record. Those that can't be stored are counted, and the first is logged."""
        errors = []
        for item in decode_each(record.value or b""):
            try:
                if isinstance(item, ValueError):
                    raise item
                one = placed(item)
            except ValueError as error:
                errors.append(error)
            else:
                yield one
        if errors:
            self._counts.lose(UNDECODABLE, len(errors))
            log.warning(
                "points of a record can't be stored",
                points=len(errors),
                offset=record.offset,
                reason=str(errors[0])[:256],
            )
