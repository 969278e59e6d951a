"""Closes the panes that the floor has passed: rolls them up, and evaluates the rules, bucket by bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from llmvitals.merge.bucket import Bucket, ClosedPanes, vitals_of
from llmvitals.merge.day_totals import DayTotals
from llmvitals.merge.homes import by_home
from llmvitals.merge.open_panes import OpenPaneCache
from llmvitals.merge.plan import MergePlan, Panes
from llmvitals.merge.points import window_points
from llmvitals.merge.rollup import Rollup, Windows, together
from llmvitals.record import point
from llmvitals.record.alert import Alert
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point, RowPoint
from llmvitals.record.series import series_of
from llmvitals.record.vitals import Vitals
from llmvitals.window import FOREVER, MINUTE, NEVER, ROLLUPS

STRETCH = 1_024
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

    to_evaluate: series to evaluate although none of their panes closed → their open panes that grew. Open
    panes are read only when they grew; at other times the result would depend on how frames are batched.
    """

    number: int
    bucket: Bucket
    to_evaluate: dict[bytes, set[int]]


class Part(NamedTuple):
    """A part of the work of a frame, and its results.

    done: the buckets that finished the frame since the last part. changed: those of them whose state changed.
    half_done: the bucket that is in the middle of the frame.
    """

    results: list[Alert | Point | RowPoint]
    done: list[int]
    changed: list[int]
    half_done: int | None = None

    def messages(self, shard: int) -> list[Message]:
        """Make the messages of the results: one for each alert, and arrays of points.

        The shard's number is the partition of its points, so the states of a window stay in order.
        """
        alerts = [result for result in self.results if isinstance(result, Alert)]
        points = [result for result in self.results if not isinstance(result, Alert)]
        return [
            *(Message(Topic.ALERTS, alert.group.encode(), alert.encode()) for alert in alerts),
            *(Message(Topic.VITALS, str(shard).encode(), array, shard) for array in point.encode(points)),
        ]


class PaneCloser:
    """Closes panes, rolls them up and evaluates the rules. counters: of panes, points and alerts.

    restored: the buckets of a checkpoint. The rules may have changed since then, so each series with a rule
    state is evaluated once, even if none of its panes closes. live: view → its live series on this shard.
    """

    def __init__(
        self,
        plan: MergePlan,
        counters: Counter[str],
        restored: Mapping[int, Bucket],
        live: Callable[[str], int],
    ) -> None:
        self._plan, self._counters, self._restored, self._live = plan, counters, set(restored), live
        self.work = 0
        """How many panes of series were closed, series evaluated and buckets visited so far."""
        self._due_at: dict[int, int] = {}
        self.open_panes = OpenPaneCache(plan, restored.values())
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
        part, windows, worked = Part([], [], []), list[Windows](), self.work
        for number, bucket, to_evaluate in work_of_buckets:
            self.work += 1
            restored = number in self._restored
            if floor.rose and restored:
                self._restored.remove(number)
                to_evaluate |= {key: to_evaluate.get(key, set()) for key in bucket.rule_states}
            *early, _ = _floors(bucket, floor.low)
            if early:
                yield self._with_points(part._replace(half_done=number), windows, floor.low)
                part, windows = Part([], [], []), []
            for low in early:
                step = Floor(low, low * self._plan.pane_us, floor.rose)
                some, results = self._close_bucket(bucket, step, {})
                yield self._with_points(Part([*(results or ())], [], [], number), some, low)
            some, results = self._close_bucket(bucket, floor, to_evaluate, every=restored)
            windows += some
            bucket.tidy()
            self._due_at[number] = self._next_due(bucket)
            part.results.extend(results or ())
            part.done.append(number)
            if results is not None or early:
                part.changed.append(number)
            if self.work - worked >= STRETCH:
                worked = self.work
                yield self._with_points(part, windows, floor.low)
                part, windows = Part([], [], []), []
        yield self._with_points(part, windows, floor.low)

    def _with_points(self, part: Part, windows: Sequence[Windows], upto: int) -> Part:
        """Add the points of these windows to a part."""
        for found in together(windows):
            points = window_points(found, self._plan, upto)
            self._counters["points"] += len(points)
            part.results.extend(points)
        return part

    def _next_due(self, bucket: Bucket) -> int:
        """The lowest floor at which a pane closes, a minute or window ends, or a rule is due."""
        wakes = [bucket.lowest + 1]
        for table in bucket.tables.values():
            ends = [start + MINUTE for start in table.minutes]
            ends += [start + ROLLUPS[name] for name, starts in table.windows.items() for start in starts]
            wakes += [-(-end // self._plan.pane_us) for end in ends]
        return min(*wakes, bucket.rules_due)

    def _close_bucket(
        self, bucket: Bucket, floor: Floor, to_evaluate: Mapping[bytes, set[int]], *, every: bool = False
    ) -> tuple[list[Windows], list[Alert | Point] | None]:
        """Close the panes of a bucket; its changed windows, and the rules' results (None: no change).

        to_evaluate: empty while the bucket has not reached the frame's floor, so that open panes are not
        read: otherwise the results would depend on how the work is split. every: evaluate them even where
        their open panes can change nothing, because the rules may have changed.
        """
        by_view = bucket.close(floor.low, self._plan.pane_us, self._counters)
        rows = sum(len(closed.rows) for closed in by_view.values())
        self._counters["panes"] += rows
        self.work += rows
        closed = self._read(bucket, by_view, floor.low)
        windows, dropped = self._roll_up(bucket, by_view, floor.now)
        results, evaluated = self._advance(bucket, floor, closed, to_evaluate, every=every)
        return windows, results if evaluated or windows or dropped or by_view else None

    def _read(self, bucket: Bucket, by_view: Mapping[str, ClosedPanes], low: int) -> dict[bytes, Panes]:
        """The closed panes that rules read: home (see View) → panes."""
        found: dict[bytes, Panes] = {}
        for view, closed in by_view.items():
            if self._plan.engine.reads(view):
                panes = by_home(self._plan, view, vitals_of(bucket.table(view), closed))
                self.open_panes.forget(panes, low)
                found |= panes
        return found

    def _roll_up(
        self, bucket: Bucket, by_view: Mapping[str, ClosedPanes], now: int
    ) -> tuple[list[Windows], bool]:
        """The changed windows of stored views, and whether complete windows were dropped."""
        windows, dropped = list[Windows](), False
        for view, table in bucket.tables.items():
            if self._plan.stores(view):
                windows += self._rollup.take(view, table, by_view.get(view), now=now)
                dropped |= self._rollup.drop(table, now)
        return windows, dropped

    def _advance(
        self,
        bucket: Bucket,
        floor: Floor,
        closed: Mapping[bytes, Panes],
        to_evaluate: Mapping[bytes, set[int]],
        *,
        every: bool,
    ) -> tuple[list[Alert | Point], bool]:
        """Evaluate the rules of a bucket: their results, and whether there was anything to evaluate."""
        rule_floor = self._rule_floor(floor)
        to_advance = dict.fromkeys(closed)
        if floor.rose:
            to_advance |= dict.fromkeys(bucket.rule_states if floor.last else self._due(bucket, rule_floor))
        keys = dict.fromkeys((*closed, *to_evaluate, *to_advance))
        results: list[Alert | Point] = []
        for key in keys:
            if every or key in to_advance:
                results += self._evaluate(
                    bucket, key, rule_floor, closed=closed.get(key, []), at_end=floor.last
                )
            grown = to_evaluate.get(key)
            if grown and self.open_panes.matter(bucket, key, grown):
                opened = self.open_panes.at(bucket, key)
                results += self._evaluate(bucket, key, rule_floor, opened=opened)
        return results, bool(keys)

    def _due(self, bucket: Bucket, floor: int) -> list[bytes]:
        """The series whose rules are due at a floor. They are looked for only if there may be some."""
        if bucket.rules_due > floor:
            return []
        due_at = {key: self._plan.engine.due(state) for key, state in bucket.rule_states.items()}
        bucket.rules_due = min((due for due in due_at.values() if due > floor), default=FOREVER)
        return [key for key, due in due_at.items() if due <= floor]

    def _rule_floor(self, floor: Floor) -> int:
        """The floor for the rules. At the end of the log the last minute is complete."""
        if floor.now < FOREVER:
            return floor.low
        panes = MINUTE // self._plan.pane_us
        return -(-floor.low // panes) * panes

    def _evaluate(
        self,
        bucket: Bucket,
        key: bytes,
        floor: int,
        *,
        closed: Sequence[tuple[int, Vitals]] = (),
        opened: Sequence[tuple[int, Vitals]] = (),
        at_end: bool = False,
    ) -> list[Alert | Point]:
        """Evaluate the rules on one series up to a floor. at_end: whether the log ends there."""
        view, series = series_of(key)
        rule_state = bucket.rule_states.pop(key, {})
        self.work += 1 + len(opened)
        results: list[Alert | Point]
        if self._plan.wants(view, series) and self._plan.engine.reads(view):
            family = self._plan.shards * self._live(view)
            results = self._plan.engine.advance(
                view, series, rule_state, floor=floor, closed=closed, opened=opened, family=family
            )
            if rule_state and at_end:
                results += self._plan.engine.finish(view, series, rule_state, floor)
            if rule_state:
                bucket.rule_states[key] = rule_state
                bucket.rules_due = min(bucket.rules_due, self._plan.engine.due(rule_state))
        else:
            results = [*self._plan.engine.resolve_removed(rule_state, floor)]
        self._counters.update("alerts" if isinstance(result, Alert) else "points" for result in results)
        return results


def _floors(bucket: Bucket, low: int) -> Iterator[int]:
    """Split the rise of a bucket's floor to `low` into steps of at most STRETCH panes of series.

    A single pane is never split.
    """
    work = 0
    for pane, count in sorted(bucket.panes(low).items()):
        if work and work + count > STRETCH:
            yield pane
            work = 0
        work += count
    yield low
