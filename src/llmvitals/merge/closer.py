"""Closes the panes that the floor has passed: rolls them up, and evaluates the rules, bucket by bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from llmvitals.merge import points
from llmvitals.merge.bucket import Bucket, summed
from llmvitals.merge.day_totals import DayTotals
from llmvitals.merge.plan import MergePlan, Panes, series_of
from llmvitals.merge.rollup import Contents, Rollup
from llmvitals.record.alert import Alert
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.record.vitals import Vitals
from llmvitals.window import FOREVER, MINUTE, NEVER, ROLLUPS

TOGETHER = 512
"""Windows whose points are made at once: numpy is faster with many, but they need memory."""
STRETCH = 256
"""Panes of series that are closed or evaluated before other partitions get their turn: some 10 ms of work."""


class Floor(NamedTuple):
    """The floor after a frame.

    low: every pane below it is closed. now: windows that end by then are complete, µs. rose: whether `low`
    rose with this frame. last: nothing comes after it, so that rules say what else they know.
    """

    low: int
    now: int
    rose: bool
    last: bool = False


class BucketWork(NamedTuple):
    """A bucket that has work.

    to_evaluate: series to evaluate although none of their panes closed → whether their open panes grew. Open
    panes are read only when they grew; at other times the result would depend on how frames are batched.
    """

    number: int
    bucket: Bucket
    to_evaluate: dict[bytes, bool]


class Part(NamedTuple):
    """A part of the work of a frame.

    done: the buckets that finished the frame since the last part. changed: those of them whose state changed.
    half_done: the bucket that is in the middle of the frame.
    """

    messages: list[Message]
    done: list[int]
    changed: list[int]
    half_done: int | None = None


_Known = dict[int, tuple[tuple[int, ...], Vitals]]
"""Pane → the versions that it was summed from, and the sum."""


class OpenPaneCache:
    """Caches the unpacked sums of open panes, which rules read again and again.

    While one source is far behind the others, hundreds of panes stay open; a frame changes few of them.

    pane_us: the length of a pane, µs.
    """

    def __init__(self, pane_us: int) -> None:
        self._known: dict[bytes, _Known] = {}
        self._pane_us = pane_us

    def at(self, bucket: Bucket, key: bytes) -> Panes:
        """The open panes of a series, as far as they are counted."""
        cached, current = self._known.get(key, {}), _Known()
        for pane in sorted(bucket.opened):
            slots = bucket.opened[pane].get(key)
            if slots is None:
                continue
            versions = tuple(version for version, _ in slots.values())
            entry = cached.get(pane)
            if entry is None or entry[0] != versions:
                entry = versions, summed(slots, self._pane_us)
            current[pane] = entry
        self._known[key] = current
        return [(pane, vitals) for pane, (_, vitals) in current.items()]

    def forget(self, keys: Iterable[bytes]) -> None:
        """Drop these series, whose panes have closed."""
        for key in keys:
            self._known.pop(key, None)


class PaneCloser:
    """Closes panes, rolls them up and evaluates the rules. counters: of panes, points and alerts.

    restored: the buckets of a checkpoint. The rules may have changed since then, so each series with a rule
    state is evaluated once, even if none of its panes closes. live: view → its live series on this shard.
    """

    def __init__(
        self, plan: MergePlan, counters: Counter[str], restored: Iterable[int], live: Callable[[str], int]
    ) -> None:
        self._plan, self._counters, self._restored, self._live = plan, counters, set(restored), live
        self.work = 0
        """How many panes of series were closed, series evaluated and buckets visited so far."""
        self._due_at: dict[int, int] = {}
        self._open_panes = OpenPaneCache(plan.pane_us)
        self._rollup: Rollup | DayTotals = (
            DayTotals(plan.pane_us) if plan.days_only else Rollup(plan.pane_us, plan.contributors)
        )

    def mark_changed(self, number: int) -> None:
        """Note that a bucket changed, so that its next wake-up has to be computed again."""
        self._due_at.pop(number, None)

    def has_nothing_due(self, number: int, low: int) -> bool:
        """Whether a bucket has nothing to do when the floor rises to `low`."""
        return self._due_at.get(number, NEVER) > low

    def close_panes(self, floor: Floor, work_of_buckets: Iterable[BucketWork]) -> Iterator[Part]:
        """Do the work of these buckets one after the other, in parts that depend only on the content."""
        part, contents, worked = Part([], [], []), Contents(), self.work
        for number, bucket, to_evaluate in work_of_buckets:
            self.work += 1
            if floor.rose and number in self._restored:
                self._restored.remove(number)
                to_evaluate |= {key: to_evaluate.get(key, False) for key in bucket.rule_states}
            *early, _ = _floors(bucket, floor.low)
            if early:
                yield self._with_points(part._replace(half_done=number), contents, floor)
                part, contents = Part([], [], []), {}
            for low in early:
                early_floor = Floor(low, low * self._plan.pane_us, floor.rose)
                windows, sent = self._close_bucket(bucket, early_floor, {})
                yield self._with_points(Part(sent or [], [], [], number), windows, early_floor)
            windows, sent = self._close_bucket(bucket, floor, to_evaluate)
            self._due_at[number] = self._next_due(bucket)
            contents |= windows
            part.messages.extend(sent or ())
            part.done.append(number)
            if sent is not None or early:
                part.changed.append(number)
            if len(contents) >= TOGETHER or self.work - worked >= STRETCH:
                worked = self.work
                yield self._with_points(part, contents, floor)
                part, contents = Part([], [], []), {}
        yield self._with_points(part, contents, floor)

    def _next_due(self, bucket: Bucket) -> int:
        """The lowest floor at which a pane closes, a minute or window ends, or a rule is due."""
        ends = [start + MINUTE for start in bucket.minutes]
        ends += [start + ROLLUPS[name] for name, starts in bucket.windows.items() for start in starts]
        wakes = [-(-end // self._plan.pane_us) for end in ends]
        wakes += [pane + 1 for pane in bucket.opened]
        wakes += map(self._plan.engine.due, bucket.rule_states.values())
        return min(wakes, default=FOREVER)

    def _with_points(self, part: Part, contents: Contents, floor: Floor) -> Part:
        """Add the points of these windows to a part."""
        point_messages = points.messages(contents, self._plan, floor.low)
        self._counters["points"] += len(point_messages)
        part.messages.extend(point_messages)
        return part

    def _close_bucket(
        self, bucket: Bucket, floor: Floor, to_evaluate: Mapping[bytes, bool]
    ) -> tuple[Contents, list[Message] | None]:
        """Close the panes of a bucket; its changed windows, and the rules' messages (None: no change).

        to_evaluate: empty while the bucket has not reached the frame's floor, so that open panes are not
        read: otherwise the messages would depend on how the work is split.
        """
        closed = bucket.close(floor.low, self._plan.pane_us)
        self._open_panes.forget(closed)
        stored = {key: panes for key, panes in closed.items() if self._plan.stored(*series_of(key))}
        contents = self._rollup.take(bucket, stored, floor.now)
        dropped = self._rollup.drop(bucket, floor.now)
        panes = sum(map(len, closed.values()))
        self._counters["panes"] += panes
        keys = dict.fromkeys((*closed, *to_evaluate))
        rule_floor, at_end = self._rule_floor(floor), floor.last
        if floor.rose:
            due = self._plan.engine.due
            keys |= dict.fromkeys(
                key for key, state in bucket.rule_states.items() if due(state) <= rule_floor or at_end
            )
        self.work += panes + len(keys)
        messages: list[Message] = []
        for key in keys:
            messages += self._evaluate(
                bucket, key, closed.get(key, []), (rule_floor, to_evaluate.get(key, False), at_end)
            )
        return contents, messages if keys or contents or dropped else None

    def _rule_floor(self, floor: Floor) -> int:
        """The floor for the rules. At the end of the log the last minute is complete."""
        if floor.now < FOREVER:
            return floor.low
        panes = MINUTE // self._plan.pane_us
        return -(-floor.low // panes) * panes

    def _evaluate(
        self, bucket: Bucket, key: bytes, closed: Panes, at: tuple[int, bool, bool]
    ) -> list[Message]:
        """Evaluate the rules on one series.

        at: the floor, whether open panes are read, and whether the log ends there.
        """
        floor, read_open, at_end = at
        view, series = series_of(key)
        rule_state = bucket.rule_states.pop(key, {})
        results: list[Alert | Point]
        if self._plan.wants(view, series) and self._plan.engine.reads(view):
            opened = self._open_panes.at(bucket, key) if read_open and self._plan.eager(view) else []
            self.work += len(opened)
            family = self._plan.shards * self._live(view)
            results = self._plan.engine.advance(
                view, series, rule_state, floor=floor, closed=closed, opened=opened, family=family
            )
            if rule_state and at_end:
                results += self._plan.engine.finish(view, series, rule_state, floor)
            if rule_state:
                bucket.rule_states[key] = rule_state
        else:
            results = [*self._plan.engine.resolve_removed(rule_state, floor)]
        self._counters.update("alerts" if isinstance(result, Alert) else "points" for result in results)
        return [
            Message(Topic.ALERTS, result.group.encode(), result.encode())
            if isinstance(result, Alert)
            else Message(Topic.VITALS, key, result.encode())
            for result in results
        ]


def _floors(bucket: Bucket, low: int) -> Iterator[int]:
    """Split the rise of a bucket's floor to `low` into steps of at most STRETCH panes of series.

    A single pane is never split.
    """
    work = 0
    for pane in sorted(pane for pane in bucket.opened if pane < low):
        count = len(bucket.opened[pane])
        if work and work + count > STRETCH:
            yield pane
            work = 0
        work += count
    yield low
