"""Closes the panes that the floor has passed: rolls them up, and evaluates the rules, bucket by bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from llmvitals.merge.bucket import Bucket, ClosedPanes, vitals_of
from llmvitals.merge.day_totals import DayTotals
from llmvitals.merge.held_panes import HeldPanes
from llmvitals.merge.homes import by_home
from llmvitals.merge.open_panes import OpenPaneCache
from llmvitals.merge.parts import Found, Gathered, Part
from llmvitals.merge.plan import MergePlan, Panes
from llmvitals.merge.points import window_points
from llmvitals.merge.rollup import Rollup, together
from llmvitals.record import point
from llmvitals.record.alert import Alert
from llmvitals.record.point import Point, RowPoint
from llmvitals.record.series import series_of
from llmvitals.record.vitals import Vitals
from llmvitals.window import FOREVER, MINUTE, NEVER, ROLLUPS

STRETCH = 1_024
"""Work before other partitions get their turn, some 10 to 50 ms: rows that are put, closed or rolled up,
series that are evaluated, and points that are made."""
POINTS = 2 * point.MOST
"""Points that are made at a time, and the rows that they are made of."""
CHEAP = 16
"""So many rows of a window count as one in the work."""


class Floor(NamedTuple):
    """The floor after a frame.

    low: every pane below it is closed. now: windows that end by then are complete, µs. rose: whether `low`
    rose with this frame. last: nothing comes after it, so that rules say what else they know. replayed: the
    points of windows are in Kafka, and are not made again; alerts are, as the rules may have changed.
    """

    low: int
    now: int
    rose: bool
    last: bool = False
    replayed: bool = False


class BucketWork(NamedTuple):
    """A bucket that has work.

    grown: series whose open panes grew. Open panes are read only then; at other times the result would depend
    on how frames are batched.
    """

    number: int
    bucket: Bucket
    grown: dict[bytes, None]


class PaneCloser:
    """Closes panes, rolls them up and evaluates the rules. counters: of panes, points and alerts.

    restored: the buckets of a checkpoint. The rules may have changed since then, so each series with a rule
    state is evaluated once, even if none of its panes closes. live: see Roster.
    """

    def __init__(
        self,
        plan: MergePlan,
        counters: Counter[str],
        restored: Mapping[int, Bucket],
        live: Callable[[str, int, int], Iterable[tuple[int, int]]],
    ) -> None:
        self._plan, self._counters, self._restored, self._live = plan, counters, set(restored), live
        self.work = 0
        """The work so far, as in STRETCH, and one for each bucket that was visited."""
        self._due_at: dict[int, int] = {}
        self.open_panes = OpenPaneCache(plan, restored.values())
        self.held_panes = HeldPanes(plan, self.open_panes)
        self._rollup: Rollup | DayTotals = (
            Rollup(plan.pane_us, plan.contributors) if plan.windows == "all" else DayTotals(plan.pane_us)
        )

    def mark_changed(self, number: int) -> None:
        """Note that a bucket changed, so that its next wake-up has to be computed again."""
        self._due_at.pop(number, None)

    def put_apart(self, bucket: Bucket, key: bytes) -> None:
        """Note that something of an eager view was put apart in a bucket."""
        self.held_panes.absorb(bucket, [key])  # first, as what may be added is now counted again
        self.open_panes.put_apart(key)

    def has_nothing_due(self, number: int, low: int) -> bool:
        """Whether a bucket has nothing to do when the floor rises to `low`."""
        return self._due_at.get(number, NEVER) > low

    def close_panes(self, floor: Floor, work_of_buckets: Iterable[BucketWork]) -> Iterator[Part]:
        """Do the work of these buckets one after the other, in parts that depend only on the content."""
        gathered, worked = Gathered(), self.work
        for number, bucket, grown in work_of_buckets:
            self.work += 1
            restored, changed = number in self._restored, False
            if floor.rose:
                self._restored.discard(number)
            elif not restored and not self.open_panes.matter(bucket, grown.keys()):
                bucket.tidy()
                gathered.finish(number, changed=changed)
                continue
            for low in bucket.floors(floor.low, STRETCH):
                last = low == floor.low
                step = floor if last else Floor(low, low * self._plan.pane_us, floor.rose)
                seen = grown if last else {}
                for found in self._close_bucket(bucket, step, seen, every=restored and last):
                    changed = True
                    gathered.add(found, low)
                    if self.work - worked >= STRETCH:
                        yield from self._parts(gathered, floor, number)
                        gathered, worked = Gathered(), self.work
            bucket.tidy()
            self._due_at[number] = NEVER if bucket.held else self._next_due(bucket)
            gathered.finish(number, changed=changed)
            if self.work - worked >= STRETCH:
                yield from self._parts(gathered, floor)
                gathered, worked = Gathered(), self.work
        yield from self._parts(gathered, floor)

    def _parts(self, gathered: Gathered, floor: Floor, *begun: int) -> Iterator[Part]:
        """Yield what was gathered, with the points of windows. begun: a bucket that is not finished."""
        results, unfinished = gathered.results, frozenset((*gathered.done, *begun))
        for points in () if floor.replayed else self._points(gathered):
            self.work += len(points)
            self._counters["points"] += len(points)
            yield Part(results, unfinished=unfinished, points=points)
            results = []
        yield Part(results, gathered.done, gathered.changed, frozenset(begun))

    def _points(self, gathered: Gathered) -> Iterator[list[Point | RowPoint]]:
        """Make the points of windows, POINTS at a time."""
        made: list[Point | RowPoint] = []
        for upto, windows in gathered.windows.items():
            for found in together(windows):
                for start in range(0, len(found.names), POINTS):
                    made += window_points(found.part(start, start + POINTS), self._plan, upto)
                    while len(made) >= POINTS:
                        yield made[:POINTS]
                        del made[:POINTS]
        if made:
            yield made

    def _next_due(self, bucket: Bucket) -> int:
        """The lowest floor at which a pane closes, a minute or window ends, or a rule is due."""
        wakes = [bucket.lowest + 1]
        for table in bucket.tables.values():
            ends = [start + MINUTE for start in table.minutes]
            ends += [start + ROLLUPS[name] for name, starts in table.windows.items() for start in starts]
            wakes += [-(-end // self._plan.pane_us) for end in ends]
        return min(*wakes, bucket.rules_due)

    def _close_bucket(
        self, bucket: Bucket, floor: Floor, grown: Mapping[bytes, None], *, every: bool = False
    ) -> Iterator[Found]:
        """Close the panes of a bucket. Yields whatever changes it: windows, or results of the rules.

        grown: empty while the bucket has not reached the frame's floor, so that open panes are not
        read: otherwise the results would depend on how the work is split. every: evaluate them, and if the
        floor rose all series with a rule state, because the rules may have changed.
        """
        by_view = bucket.close(floor.low, self._plan.pane_us, self._counters)
        rows = sum(len(closed.rows) for closed in by_view.values())
        self._counters["panes"] += rows
        self.work += rows
        if by_view:
            yield ()
        if floor.rose:
            self.work += self.held_panes.absorb(bucket)
        closed = self._read(bucket, by_view, floor.low, hold=not (every or floor.last))
        yield from self._roll_up(bucket, by_view, floor.now)
        yield from self._advance(bucket, floor, closed, grown, every=every)

    def _read(
        self, bucket: Bucket, by_view: Mapping[str, ClosedPanes], low: int, *, hold: bool
    ) -> dict[bytes, Panes]:
        """The closed panes that rules read: home (see View) → panes, none if they are held."""
        found: dict[bytes, Panes] = {}
        for view, closed in by_view.items():
            if self._plan.engine.reads(view):
                table = bucket.table(view)
                if hold and self._plan.eager(view):
                    found |= {key: [] for key in table.name(closed.rows)}
                    closed = self.held_panes.hold(bucket, view, closed, low)  # noqa: PLW2901 - what is left
                panes = by_home(self._plan, view, vitals_of(table, closed))
                self.open_panes.forget(panes, low)
                found |= panes
        return found

    def _roll_up(self, bucket: Bucket, by_view: Mapping[str, ClosedPanes], now: int) -> Iterator[Found]:
        """The changed windows of stored views; complete windows are dropped."""
        for view, table in bucket.tables.items():
            if self._plan.stores(view):
                for windows in self._rollup.take(view, table, by_view.get(view), now=now):
                    # Few rows may have changed, but they are added to all rows of their window.
                    self.work += len(windows.names) + table.window_rows(windows.window) // CHEAP
                    yield windows
                if self._rollup.drop(table, now):
                    yield ()

    def _advance(
        self,
        bucket: Bucket,
        floor: Floor,
        closed: Mapping[bytes, Panes],
        grown: Mapping[bytes, None],
        *,
        every: bool,
    ) -> Iterator[Found]:
        """Evaluate the rules of a bucket. Yields the results of each series."""
        rule_floor = self._rule_floor(floor)
        to_advance = dict.fromkeys((*closed, *grown) if every else closed)
        if floor.rose:
            all_due = every or floor.last
            to_advance |= dict.fromkeys(bucket.rule_states if all_due else self._due(bucket, rule_floor))
        for key in dict.fromkeys((*closed, *grown, *to_advance)):
            results: list[Alert | Point] = []
            if key in closed and key in bucket.held:  # last among the states, as if it had been evaluated
                bucket.rule_states[key] = bucket.rule_states.pop(key)
            elif key in to_advance:
                results += self._evaluate(
                    bucket, key, rule_floor, closed=closed.get(key, []), at_end=floor.last
                )
            if key in grown and self.open_panes.matter(bucket, {key}):
                opened = self.open_panes.at(bucket, key)
                results += self._evaluate(bucket, key, rule_floor, opened=opened)
            yield results

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
        if key in bucket.held:
            self.held_panes.absorb(bucket, [key])
        view, series = series_of(key)
        rule_state = bucket.rule_states.pop(key, {})
        self.work += 1 + len(opened)
        results: list[Alert | Point] = []
        if self._plan.wants(view, series) and self._plan.engine.reads(view):
            first = self._plan.engine.due(rule_state) - 1 if rule_state else floor
            first = min(first, floor, *(pane for pane, _ in closed[:1]))
            for upto, live in self._live(view, first, floor):
                part, seen = [p for p in closed if first <= p[0] < upto], opened if upto == floor else ()
                results += self._plan.engine.advance(
                    view,
                    series,
                    rule_state,
                    floor=upto,
                    closed=part,
                    opened=seen,
                    family=self._plan.shards * live,
                )
                first = upto
            if rule_state and at_end:
                results += self._plan.engine.finish(view, series, rule_state, floor)
            if rule_state:
                bucket.rule_states[key] = rule_state
                bucket.rules_due = min(bucket.rules_due, self._plan.engine.due(rule_state))
        else:
            results = [*self._plan.engine.resolve_removed(rule_state, floor)]
        self.open_panes.evaluated(key, bucket.rule_states.get(key, {}))
        self._counters.update("alerts" if isinstance(result, Alert) else "points" for result in results)
        return results
