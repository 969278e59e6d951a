"""The results of the work of a frame, part by part."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from llmvitals.merge.rollup import Windows
from llmvitals.record import point
from llmvitals.record.alert import Alert
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point, RowPoint

Found: TypeAlias = Windows | Sequence[Alert | Point]
"""Changed windows, whose points are still to be made, or results of the rules."""


class Part(NamedTuple):
    """A part of the work of a frame, and its results.

    results: of the rules, and of the roster. done: the buckets of whose work with the frame the last results
    are here. changed: those of them whose state changed. unfinished: the buckets whose work is begun, while
    some of its results are still to come. points: of windows.
    """

    results: Sequence[Alert | Point]
    done: Sequence[int] = ()
    changed: Sequence[int] = ()
    unfinished: Collection[int] = ()
    points: Sequence[Point | RowPoint] = ()

    def messages(self, shard: int) -> list[Message]:
        """Make the messages of the results: one for each alert, and arrays of points.

        The shard's number is the partition of its points, so the states of a window stay in order.
        """
        alerts = [result for result in self.results if isinstance(result, Alert)]
        points = [*(result for result in self.results if not isinstance(result, Alert)), *self.points]
        return [
            *(Message(Topic.ALERTS, alert.group.encode(), alert.encode()) for alert in alerts),
            *(Message(Topic.VITALS, str(shard).encode(), array, shard) for array in point.encode(points)),
        ]


@dataclass(slots=True)
class Gathered:
    """What closing panes has given since the last part.

    windows: the pane up to which they are counted → windows. done, changed: see Part.
    """

    results: list[Alert | Point] = field(default_factory=list)
    windows: dict[int, list[Windows]] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)

    def add(self, found: Found, upto: int) -> None:
        """Add results, or windows that are counted up to a pane."""
        if isinstance(found, Windows):
            self.windows.setdefault(upto, []).append(found)
        else:
            self.results += found

    def finish(self, number: int, *, changed: bool) -> None:
        """Note that the work of a bucket is done."""
        self.done.append(number)
        if changed:
            self.changed.append(number)
