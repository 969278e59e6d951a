"""Prepares points for writing: of each place the newest one, and its line of the line protocol.

Points that can't be written are set aside and counted. The client's own Point is not used: it drops NaN
silently, changes the series when a tag is empty, and takes ten times as long.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

import structlog

from llmvitals.record.point import Point, decode_each
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.log import Record

TAG_LIMIT: Final = 128
"""Characters of a tag's value."""
TEXT_LIMIT: Final = 1_024
"""Characters of a text field."""

# Controls, lone surrogates and the two separators that some readers take for an end of line. A backslash
# has no safe spelling in a tag: before the comma that ends the tag it would escape it.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_FORBIDDEN_IN_TAG: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\\\\]")
_ESCAPED: Final = re.compile("([,= ])")

log: Final = structlog.get_logger(__name__)

REMEMBERED: Final = 100_000
"""Places whose newest point is remembered; about 25 MB."""

KEYS: Final = frozenset({"view", "window", "start", "tags", "upto", "time"})
"""Names that fields can't have, because a store uses them itself."""

UNDECODABLE: Final = "undecodable"
"""The code of what is no point; the others are the store's own."""

_MEASUREMENT: Final = re.compile(r"llm_[a-z0-9_]{1,60}")
_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LEAST, _MOST = -(2**63), 2**63 - 1


@lru_cache(maxsize=65_536)
def tag(value: str) -> str:
    """Return a tag's value (or key) as it is written: NFC, 1 to 128 characters, no control characters.

    An empty one becomes `unknown`. After a replacement or a cut, eight hex digits of the original's SHA-256
    are added, so that two series never become one.

    >>> tag("")
    'unknown'
    >>> tag("search team")
    'search team'
    """
    clean = unicodedata.normalize("NFC", value)
    replaced = _FORBIDDEN_IN_TAG.sub("_", clean)
    if replaced == clean and len(clean) <= TAG_LIMIT:
        return clean or UNKNOWN
    digest = hashlib.sha256(clean.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{replaced[: TAG_LIMIT - 9]}~{digest}"


def tags(point: Point) -> dict[str, str]:
    """Return a point's tags as they are written, sorted by key."""
    return {tag(key): tag(value) for key, value in sorted(point.tags.items())}


def text(value: str) -> str:
    """Return a text field as it is written: one line of at most 1,024 characters."""
    return _FORBIDDEN.sub(" ", value)[:TEXT_LIMIT]


def line(point: Point) -> str:
    """Return the line without its end: counts with `i`, measures as floats, texts in quotes, time in ns.

    A measure that is not finite is left out. Raises ValueError when no field remains.
    """
    fields = [f"{key}={value}i" for key, value in point.counts.items()]
    fields += [f"{key}={float(value)!r}" for key, value in point.measures.items() if math.isfinite(value)]
    fields += [f'{key}="{_quoted(value)}"' for key, value in point.texts.items()]
    if not fields:
        raise ValueError("a point without fields can't be written")
    return f"{point.measurement}{_head(tags(point))} {','.join(fields)} {point.start * 1_000}"


def _head(written: Mapping[str, str]) -> str:
    return "".join(f",{_escape(key)}={_escape(value)}" for key, value in written.items())


def _escape(value: str) -> str:
    return _ESCAPED.sub(r"\\\1", value)


def _quoted(value: str) -> str:
    return text(value).replace("\\", "\\\\").replace('"', '\\"')


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


@dataclass(slots=True)
class Newest:
    """Takes records, and returns the newest point of each place (measurement, tags, start).

    It remembers what was written for the last REMEMBERED places, so that a late point of a zombie does not
    overwrite a newer one.
    """

    counts: Counts
    _written: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _tried: tuple[Sequence[Record], dict[bytes, Point]] | None = None

    def of(self, records: Sequence[Record]) -> dict[bytes, Point]:
        """Return place → its newest point: that with the greatest `upto`, the last of equal ones.

        For the same records as in the last call, if they were not written since, it returns the same dict.
        """
        if self._tried is None or self._tried[0] is not records:
            self._tried = (records, self._of(records))
        return self._tried[1]

    def _of(self, records: Sequence[Record]) -> dict[bytes, Point]:
        newest: dict[bytes, Point] = {}
        for point in chain.from_iterable(map(self._points, records)):
            at = place(point)
            before = newest.get(at)
            least = self._written.get(at) if before is None else before.upto
            if least is not None and point.upto < least:
                self.counts.superseded += 1
                continue
            self.counts.superseded += before is not None
            newest[at] = point
        return newest

    def forget(self) -> None:
        """Forget what was written: the store has lost it."""
        self._tried = None
        self._written.clear()

    def remember(self, written: dict[bytes, Point]) -> None:
        """Remember these points: they are in the store now."""
        self._tried = None
        for at, point in written.items():
            self._written[at] = point.upto
            self._written.move_to_end(at)
        while len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    def _points(self, record: Record) -> list[Point]:
        """The points of a record; those that can't be stored are counted, and the first of them is logged."""
        points, errors = [], []
        for item in decode_each(record.value or b""):
            try:
                if isinstance(item, ValueError):
                    raise item
                check(item)
                points.append(item)
            except ValueError as error:
                errors.append(error)
        if errors:
            self.counts.lose(UNDECODABLE, len(errors))
            log.warning(
                "points of a record can't be stored",
                points=len(errors),
                offset=record.offset,
                reason=str(errors[0])[:256],
            )
        return points


def check(point: Point) -> None:
    """Check that a store can hold the point. Raises ValueError with the reason."""
    if not _MEASUREMENT.fullmatch(point.measurement):
        raise ValueError("a measurement is called llm_… in small letters, digits and _")
    names = [*point.counts, *point.measures, *point.texts]
    if not all(_FIELD.fullmatch(name) and name not in KEYS for name in names):
        raise ValueError("a field's name is small letters, digits and _, and none of a store's own columns")
    if len(set(names)) < len(names):
        raise ValueError("a field has two types")
    if not all(
        _LEAST <= value <= _MOST for value in (*point.counts.values(), point.upto, point.start * 1_000)
    ):
        raise ValueError("a count or the time doesn't fit into 64 bits")
    if not (point.counts or point.texts or any(map(math.isfinite, point.measures.values()))):
        raise ValueError("there are no fields")


def place(point: Point) -> bytes:
    """Hash the measurement, tags (as written) and start to 16 bytes."""
    parts: Sequence[str] = [point.measurement, str(point.start)]
    text = "\0".join([*parts, *(f"{key}\1{value}" for key, value in tags(point).items())])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
