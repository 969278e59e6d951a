"""What the floor has passed becomes points and alerts, one bucket at a time."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from llmvitals.merge import points
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.plan import Panes, Plan, series_of
from llmvitals.merge.rollup import Rollup
from llmvitals.record.log import Message, Topic


class Step(NamedTuple):
    """What one frame brought about.

    offset: the frame's. low: every pane below it is closed. now: windows that end by then are complete, µs.
    opened: bucket → series of eager views whose open panes changed. moved: whether `low` rose.
    """

    offset: int
    low: int
    now: int
    opened: dict[int, dict[bytes, None]]
    moved: bool


class Settler:
    """Closes panes, rolls them up and asks the rules. counters: where that is counted."""

    def __init__(self, plan: Plan, counters: Counter[str]) -> None:
        self._plan, self._counters = plan, counters
        self._rollup = Rollup(plan.pane_us, plan.contributors)

    def settle(self, bucket: Bucket, step: Step, opened: dict[bytes, None]) -> tuple[list[Message], bool]:
        """One bucket's part of a step: what has to be sent, and whether the bucket changed."""
        closed = bucket.close(step.low)
        stored = {key: panes for key, panes in closed.items() if self._plan.stored(*series_of(key))}
        contents = self._rollup.take(bucket, stored, step.now)
        out = points.messages(contents, self._plan, step.low)
        dropped = self._rollup.drop(bucket, step.now)
        self._counters["panes"] += sum(map(len, closed.values()))
        self._counters["points"] += len(out)
        asked = dict.fromkeys((*closed, *opened))
        if step.moved:
            needs_tick = self._plan.watch.needs_tick
            asked.update(
                dict.fromkeys(key for key, state in bucket.watch.items() if needs_tick(state, step.low))
            )
        for key in asked:
            out += self._ask(bucket, key, closed.get(key, []), step.low)
        return out, bool(asked or contents or dropped)

    def _ask(self, bucket: Bucket, key: bytes, closed: Panes, low: int) -> list[Message]:
        """What the rules say of one series."""
        view, series = series_of(key)
        memory = bucket.watch.pop(key, {})
        if not self._plan.wants(view, series) or not self._plan.watch.watches(view):
            return []
        opened = bucket.open_panes(key) if self._plan.eager(view) else []
        alerts = self._plan.watch.advance(view, series, memory, floor=low, closed=closed, opened=opened)
        if memory:
            bucket.watch[key] = memory
        self._counters["alerts"] += len(alerts)
        return [Message(Topic.ALERTS, alert.group.encode(), alert.encode()) for alert in alerts]
