"""What the floor has passed becomes points and alerts, one bucket at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from llmvitals.merge import points
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.plan import Panes, Plan, series_of
from llmvitals.merge.rollup import Contents, Rollup
from llmvitals.record.alert import Alert
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.window import FOREVER, MINUTE

TOGETHER = 512
"""So many windows become points at once: numpy wants many, memory wants few."""


class Step(NamedTuple):
    """What one frame brought about.

    offset: the frame's. low: every pane below it is closed. now: windows that end by then are complete, µs.
    opened: bucket → series to be asked though they did not close: of eager views, whose open panes changed.
    moved: whether `low` rose.
    """

    offset: int
    low: int
    now: int
    opened: dict[int, dict[bytes, None]]
    moved: bool


class Settler:
    """Closes panes, rolls them up and asks the rules. counters: where that is counted.

    restored: the buckets that come from a checkpoint. The rules may be others since, so each of their
    memories is asked once, even of a series that nothing closes in.
    """

    def __init__(self, plan: Plan, counters: Counter[str], restored: Iterable[int] = ()) -> None:
        self._plan, self._counters, self._restored = plan, counters, set(restored)
        self._rollup = Rollup(plan.pane_us, plan.contributors)

    def settle(self, buckets: dict[int, Bucket], step: Step) -> tuple[list[Message], list[int]]:
        """A step of these buckets: what has to be sent, and the numbers of those that changed."""
        out: list[Message] = []
        changed: list[int] = []
        contents: Contents = {}
        for number, bucket in buckets.items():
            if step.moved and number in self._restored:
                self._restored.remove(number)
                step.opened.setdefault(number, {}).update(dict.fromkeys(bucket.watch))
            found, said = self._settle(bucket, step, step.opened.get(number, {}))
            contents |= found
            if said is not None:
                changed.append(number)
                out += said
            if len(contents) >= TOGETHER:
                out += self._points(contents, step)
                contents = {}
        return out + self._points(contents, step), changed

    def _settle(
        self, bucket: Bucket, step: Step, opened: dict[bytes, None]
    ) -> tuple[Contents, list[Message] | None]:
        """The windows that changed in one bucket, and what the rules say; None where nothing changed."""
        closed = bucket.close(step.low)
        stored = {key: panes for key, panes in closed.items() if self._plan.stored(*series_of(key))}
        contents = self._rollup.take(bucket, stored, step.now)
        dropped = self._rollup.drop(bucket, step.now)
        self._counters["panes"] += sum(map(len, closed.values()))
        asked = dict.fromkeys((*closed, *opened))
        floor = self._floor(step)
        if step.moved:
            wakes = self._plan.watch.needs_tick
            asked |= dict.fromkeys(key for key, state in bucket.watch.items() if wakes(state, floor))
        said = [message for key in asked for message in self._ask(bucket, key, closed.get(key, []), floor)]
        return contents, said if asked or contents or dropped else None

    def _floor(self, step: Step) -> int:
        """What is over for the rules: where the log ends, so does the minute that it ends in."""
        if step.now < FOREVER:
            return step.low
        panes = MINUTE // self._plan.pane_us
        return -(-step.low // panes) * panes

    def _points(self, contents: Contents, step: Step) -> list[Message]:
        made = points.messages(contents, self._plan, step.low)
        self._counters["points"] += len(made)
        return made

    def _ask(self, bucket: Bucket, key: bytes, closed: Panes, floor: int) -> list[Message]:
        """What the rules say of one series."""
        view, series = series_of(key)
        memory = bucket.watch.pop(key, {})
        said: list[Alert | Point]
        if self._plan.wants(view, series) and self._plan.watch.watches(view):
            opened = bucket.open_panes(key) if self._plan.eager(view) else []
            said = self._plan.watch.advance(view, series, memory, floor=floor, closed=closed, opened=opened)
            if memory:
                bucket.watch[key] = memory
        else:
            said = [*self._plan.watch.ended(memory, floor)]
        self._counters.update("alerts" if isinstance(each, Alert) else "points" for each in said)
        return [
            Message(Topic.ALERTS, each.group.encode(), each.encode())
            if isinstance(each, Alert)
            else Message(Topic.VITALS, key, each.encode())
            for each in said
        ]
