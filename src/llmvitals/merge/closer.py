"""What the floor has passed becomes points and alerts, one bucket at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from llmvitals.merge import points
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.open_cache import OpenPaneCache
from llmvitals.merge.plan import MergePlan, Panes, series_of
from llmvitals.merge.rollup import Contents, Rollup
from llmvitals.record.alert import Alert
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.window import FOREVER, MINUTE, NEVER, ROLLUPS

TOGETHER = 512
"""So many windows become points at once: numpy wants many, memory wants few."""
STRETCH = 256
"""So many panes of series are closed, or asked about, at a stretch: in some hundredths of a second."""


class Step(NamedTuple):
    """What one frame brought about.

    low: every pane below it is closed. now: windows that end by then are complete, µs. moved: whether `low`
    rose.
    """

    low: int
    now: int
    moved: bool


class Todo(NamedTuple):
    """A bucket in a step. asked: series to ask though none of their panes closed → whether open ones grew.

    Only what grew is looked at. The rest was when it had grown: looked at again, after other panes have
    closed, it would tell what an undisturbed merge does not tell yet.
    """

    number: int
    bucket: Bucket
    asked: dict[bytes, bool]


class Piece(NamedTuple):
    """A part of a step's work. done: the buckets that have the step behind them since the last piece.

    changed: those of them whose content is another now. torn: the bucket that is in the middle of it.
    """

    messages: list[Message]
    done: list[int]
    changed: list[int]
    torn: int | None = None


class PaneCloser:
    """Closes panes, rolls them up and asks the rules. counters: where that is counted.

    restored: the buckets that come from a checkpoint. The rules may be others since, so each of their
    memories is asked once, even of a series that nothing closes in.
    """

    def __init__(self, plan: MergePlan, counters: Counter[str], restored: Iterable[int] = ()) -> None:
        self._plan, self._counters, self._restored = plan, counters, set(restored)
        self.work = 0
        """How many panes of series were closed, series asked and buckets visited, in its life."""
        self._wakes: dict[int, int] = {}
        self._looks = OpenPaneCache()
        self._rollup = Rollup(plan.pane_us, plan.contributors)

    def rouse(self, number: int) -> None:
        """Something was added to a bucket."""
        self._wakes.pop(number, None)

    def sleeps(self, number: int, low: int) -> bool:
        """Whether a floor that rises to `low` leaves a bucket nothing to do."""
        return self._wakes.get(number, NEVER) > low

    def settle(self, step: Step, todo: Iterable[Todo]) -> Iterator[Piece]:
        """A step of these buckets, one after the other, in pieces whose size depends on the content only."""
        piece, contents, worked = Piece([], [], []), Contents(), self.work
        for number, bucket, asked in todo:
            self.work += 1
            if step.moved and number in self._restored:
                self._restored.remove(number)
                asked |= {key: asked.get(key, False) for key in bucket.rule_states}
            *early, _ = _floors(bucket, step.low)
            if early:
                yield self._closed(piece._replace(torn=number), contents, step)
                piece, contents = Piece([], [], []), {}
            for low in early:
                part = Step(low, low * self._plan.pane_us, step.moved)
                found, said = self._settle(bucket, part, {})
                yield self._closed(Piece(said or [], [], [], number), found, part)
            found, said = self._settle(bucket, step, asked)
            self._wakes[number] = self._wake(bucket)
            contents |= found
            piece.messages.extend(said or ())
            piece.done.append(number)
            if said is not None or early:
                piece.changed.append(number)
            if len(contents) >= TOGETHER or self.work - worked >= STRETCH:
                worked = self.work
                yield self._closed(piece, contents, step)
                piece, contents = Piece([], [], []), {}
        yield self._closed(piece, contents, step)

    def _wake(self, bucket: Bucket) -> int:
        """The lowest floor at which a pane closes, a minute or window ends, or the rules want to tick."""
        ends = [start + MINUTE for start in bucket.minutes]
        ends += [start + ROLLUPS[name] for name, starts in bucket.windows.items() for start in starts]
        wakes = [-(-end // self._plan.pane_us) for end in ends]
        wakes += [pane + 1 for pane in bucket.opened]
        wakes += map(self._plan.engine.due, bucket.rule_states.values())
        return min(wakes, default=FOREVER)

    def _closed(self, piece: Piece, contents: Contents, step: Step) -> Piece:
        """The piece, and in it the points of what it holds."""
        made = points.messages(contents, self._plan, step.low)
        self._counters["points"] += len(made)
        piece.messages.extend(made)
        return piece

    def _settle(
        self, bucket: Bucket, step: Step, asked: Mapping[bytes, bool]
    ) -> tuple[Contents, list[Message] | None]:
        """The windows that changed in one bucket, and what the rules say; None where nothing changed.

        asked: nothing while the bucket's own floor is not yet where the step's is. Then nobody looks at the
        open panes: how they are cut would be seen in what is said.
        """
        closed = bucket.close(step.low)
        self._looks.forget(closed)
        stored = {key: panes for key, panes in closed.items() if self._plan.stored(*series_of(key))}
        contents = self._rollup.take(bucket, stored, step.now)
        dropped = self._rollup.drop(bucket, step.now)
        panes = sum(map(len, closed.values()))
        self._counters["panes"] += panes
        keys = dict.fromkeys((*closed, *asked))
        floor = self._floor(step)
        if step.moved:
            due = self._plan.engine.due
            keys |= dict.fromkeys(key for key, state in bucket.rule_states.items() if due(state) <= floor)
        self.work += panes + len(keys)
        said: list[Message] = []
        for key in keys:
            said += self._ask(bucket, key, closed.get(key, []), (floor, asked.get(key, False)))
        return contents, said if keys or contents or dropped else None

    def _floor(self, step: Step) -> int:
        """What is over for the rules: where the log ends, so does the minute that it ends in."""
        if step.now < FOREVER:
            return step.low
        panes = MINUTE // self._plan.pane_us
        return -(-step.low // panes) * panes

    def _ask(self, bucket: Bucket, key: bytes, closed: Panes, at: tuple[int, bool]) -> list[Message]:
        """What the rules say of one series; at: the floor, and whether open panes are looked at."""
        floor, look = at
        view, series = series_of(key)
        memory = bucket.rule_states.pop(key, {})
        said: list[Alert | Point]
        if self._plan.wants(view, series) and self._plan.engine.reads(view):
            opened = self._looks.at(bucket, key) if look and self._plan.eager(view) else []
            self.work += len(opened)
            said = self._plan.engine.advance(view, series, memory, floor=floor, closed=closed, opened=opened)
            if memory:
                bucket.rule_states[key] = memory
        else:
            said = [*self._plan.engine.resolve_removed(memory, floor)]
        self._counters.update("alerts" if isinstance(each, Alert) else "points" for each in said)
        return [
            Message(Topic.ALERTS, each.group.encode(), each.encode())
            if isinstance(each, Alert)
            else Message(Topic.VITALS, key, each.encode())
            for each in said
        ]


def _floors(bucket: Bucket, low: int) -> Iterator[int]:
    """The floors over which a bucket rises to `low`, with at most STRETCH panes of series between them.

    One pane is never cut.
    """
    work = 0
    for pane in sorted(pane for pane in bucket.opened if pane < low):
        count = len(bucket.opened[pane])
        if work and work + count > STRETCH:
            yield pane
            work = 0
        work += count
    yield low
