"""Frames, calls and points for tests of merge, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pytest

from llmvitals.merge import Merge, closer, stage
from llmvitals.record.alert import Alert
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import BlockFrame, Entry, Frame, LateEntry
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.point import Point, decode
from llmvitals.record.view import View
from llmvitals.record.vitals import Vitals
from llmvitals.sketch import counters, quantiles
from llmvitals.window import NEVER

SECOND = 1_000_000
PANE = 10 * SECOND
DAY = 1_700_006_400 * SECOND  # a midnight, UTC
FIRST = DAY // PANE
VIEWS = {
    "all": View("all", contributors=True),
    "app": View("app", ("app",)),
    "team": View("team", ("team",), eager=True),
    "rule": View("rule", ("app",), stored=False),
}


def vitals(*, latencies_ms: tuple[float, ...] = (), contributors=None, maxima=None, **sums: int) -> Vitals:
    """Vitals with these sums and maxima, and a latency sketch of these values."""
    keys, counts = np.unique(quantiles.bin_keys("latency_ms", np.array(latencies_ms)), return_counts=True)
    return Vitals(
        tuple(sums.get(name, 0) for name in counters.SUMS),
        tuple((maxima or {}).get(name, 0) for name in counters.MAXIMA),
        (keys.astype(np.uint16), counts.astype(np.int64)),
        contributors or {},
    )


def entry(pane: int, content: Vitals, view: str = "all", *series: str) -> Entry:
    return Entry(view, series, FIRST + pane, content.pack())


def late_entry(pane: int, content: Vitals, quarter: int, view: str = "all", *series: str) -> LateEntry:
    return LateEntry(view, series, FIRST + pane, content.pack(), quarter)


def frame(
    source: int,
    version: int,
    *entries: Entry,
    floor: int = 0,
    of: int = 2,
    late: Sequence[LateEntry] = (),
) -> Frame:
    """A frame of partition `source` of `of`; floor and panes are counted from FIRST."""
    floor += FIRST
    return Frame(f"calls/{source}", {"calls": of}, 0, 1, floor, version, PANE, entries, tuple(late))


def small_pieces(patch: pytest.MonkeyPatch) -> None:
    """Every bucket, and within it every pane, is a piece of its own."""
    for module in (closer, stage):
        patch.setattr(module, "STRETCH", 1)


def first_open(frames: Iterable[Frame]) -> dict[int, int]:
    """Partition of the calls → the lowest pane that was open in a shard when it was first told of it.

    frames: the shard's, in their order.
    """
    floors, found, low = dict[int, int](), dict[int, int](), NEVER
    for each in frames:
        topic, _, source = each.source.rpartition("/")
        number = int(source)
        for partition in range(max(each.sources[topic], number + 1)):
            found.setdefault(partition, low)
        floors[number] = max(floors.get(number, NEVER), each.floor)
        low = max(low, min(floors.get(partition, NEVER) for partition in found))
    return found


def disturbed(
    records: list[Logged],
    start: Callable[[dict[str, bytes]], Merge],
    some: Callable[[], int],
    what: Callable[[], str],
) -> list[Message]:
    """What is sent when merge dies again and again, within frames and within the writing of checkpoints.

    start: merge with the parts of a checkpoint, to which it may add. some: how many records it takes next.
    what: what happens after a piece: "go on", "checkpoint", "crash", "torn" (it dies before the last part,
    the manifest, is written) or "restart" (it dies after a checkpoint).
    """
    parts: dict[str, bytes] = {}
    merge, out, durable = start(parts), list[Message](), list[Message]()
    work: Iterator[list[Message]] = iter(())
    last = records[-1].offset
    while True:
        messages = next(work, None)
        if messages is None:
            if merge.next > last:
                return out
            work = merge.pieces(records[merge.next : merge.next + some()])
            continue
        out += messages
        happens = what()
        if happens in ("checkpoint", "torn", "restart"):
            written = list(merge.snapshot().parts.items())
            assert written[-1][0] == MANIFEST
            parts.update(written[: -1 if happens == "torn" else None])
            durable = list(out)
        if happens in ("crash", "torn", "restart"):
            merge, out, work = start(parts), list(durable), iter(())


def log(frames: Iterable[Frame | BlockFrame], start: int = 0) -> list[Logged]:
    return [Logged(offset, 0, each.encode()) for offset, each in enumerate(frames, start)]


Place = tuple[str, str, str, int, tuple[tuple[str, str], ...]]


def place(point: Point) -> Place:
    """measurement, view, window, start in seconds after FIRST, the other tags"""
    tags = dict(point.tags)
    view, window = tags.pop("view"), tags.pop("window")
    return point.measurement, view, window, (point.start - DAY) // SECOND, tuple(sorted(tags.items()))


def points_of(messages: Iterable[Message]) -> list[Point]:
    """All points in messages, in their order."""
    values = [message.value or b"" for message in messages if message.topic is Topic.VITALS]
    return [point for value in values for point in decode(value)]


def stored(messages: Iterable[Message], into: dict[Place, Point] | None = None) -> dict[Place, Point]:
    """What a store holds that lets the greater `upto` win."""
    into = {} if into is None else into
    for point in points_of(messages):
        had = into.get(place(point))
        if had is None or point.upto >= had.upto:
            into[place(point)] = point
    return into


def contents(messages: Iterable[Message]) -> dict[Place, tuple[object, object]]:
    """What a store holds in the end, but for how far it was counted when it was last said."""
    return {place: (point.counts, point.measures) for place, point in stored(messages).items()}


def alerts(messages: Iterable[Message], *, updates: bool = False) -> list[Alert]:
    """The changes of alerts among messages, in their order; updates: also values that only moved."""
    found = [Alert.decode(message.value or b"") for message in messages if message.topic is Topic.ALERTS]
    return [alert for alert in found if updates or not alert.update]


def calls(messages: Iterable[Message]) -> dict[tuple[str, int], int]:
    """(window, start in seconds) → calls, of the view `all`."""
    return {
        (window, start): point.counts["calls"]
        for (name, view, window, start, _), point in stored(messages).items()
        if (name, view) == ("llm_calls", "all")
    }
