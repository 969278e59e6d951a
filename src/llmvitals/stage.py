"""The seam between what stages and sinks do and how they run on Kafka."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from llmvitals.record.log import Message, Record, Snapshot, Topic
from llmvitals.window import NEVER

if TYPE_CHECKING:
    from llmvitals.routing import Routing

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class CutSeries(Protocol):
    """What a stage tells of the series that it counts in `_other` because their view is full."""

    @property
    def cut(self) -> Mapping[str, int]:
        """View → number of entries that were counted in `_other`."""

    def examples(self, view: str) -> Sequence[str]:
        """A few names of such series."""


class Stage(Protocol):
    """The work of one stage on one input partition: it knows no Kafka, no clock and no environment.

    Subclass it: what is not abstract has a default. The runner (`runtime/kafka/stage_runner.py`, or a test)
    hands in records in the order of their offsets and sends the messages that come out.

    counters: metric → total over the life of the partition. dead_letters: error code → total. unread: who
    wrote things that look like calls and that nothing reads → their number since the start. unknown_models:
    models without a price → the known one with the nearest name, or "". roster: the series that are counted
    in `_other`; None: the stage cuts none.
    """

    next: int
    """The offset that is expected next. The runner raises it over a hole at the end of the log."""
    counters: Mapping[str, int] = _NOTHING
    dead_letters: Mapping[str, int] = _NOTHING
    unread: Mapping[str, int] = _NOTHING
    unknown_models: Mapping[str, str] = MappingProxyType({})
    roster: CutSeries | None = None
    can_promise: bool = False
    """Whether `promise` may be called: then an idle partition holds nobody up."""
    waits: bool = False
    """Whether `pieces` waits for other processes, so that the runner has to run it in a thread.

    While a piece runs, the runner reads only `next` and the counters; the names of the counters must not
    change.
    """

    @property
    def watermark(self) -> int:
        """Event time up to which the stage is complete, µs; window.NEVER when there is none."""
        return NEVER

    @abstractmethod
    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take records in; return the messages to send."""

    def pieces(self, records: Sequence[Record]) -> Iterator[list[Message]]:
        """Do the same as `apply` in pieces of a fraction of a second; the runner lets others run in between.

        Between two pieces everything but `apply` may be called. The runner may leave the rest undone.
        """
        yield self.apply(records)

    def flush(self) -> list[Message]:
        """Return what is worth sending early; called every `settings.flush`."""
        return []

    def mark(self) -> int:
        """Return a token for everything that was returned for sending so far."""
        return 0

    def delivered(self, mark: int) -> None:
        """Note that Kafka has acknowledged everything up to this mark."""
        del mark

    def promise(self, floor_time: int) -> None:
        """Note that from the next offset on no record is older than `floor_time` (µs).

        Called only where `can_promise` is set. The runner writes the snapshot that follows, commits it, and
        only then calls `flush`.
        """
        del floor_time

    @abstractmethod
    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return what has to be written for a restart; whole: all that changed, as at a clean stop.

        The runner writes it only after everything that was returned before this call is acknowledged.
        """


class StageFactory(Protocol):
    """Makes the stages of a process, one for each input partition.

    topic, partition: what it reads. parts: the newest checkpoint of that partition ({} when there is none).
    beginning: the oldest offset that Kafka still has. sources: each input topic → number of partitions.
    The stage's `next` is where reading begins: with parts, the offset that its restart needs.
    """

    def __call__(
        self, topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
    ) -> Stage: ...


Reread: TypeAlias = "StageFactory | Routing"
"""What a worker reads anew when the rule files have changed: how to make stages, or where alerts go."""


class Sink(Protocol):
    """The end of a topic: side effects, and no state that a checkpoint would hold.

    Subclass it: what is not abstract has a default. Calls never overlap, but for `health` and `adopt`, which
    do not wait; each call ends by itself: the sink limits how long it waits for an answer. After a SinkError
    with retry, the same call is made again with the same records (the same object) until it succeeds; any
    other error ends the worker.
    """

    ticks: bool = False
    """Whether `tick` has something to do: it then waits for its turn while `take` is under way."""

    async def start(self, history: Sequence[Record] | None) -> None:
        """Get ready. Called before the first records, and again whenever partitions were assigned.

        history: the newest record of each key of the binding's history topic; None where it has none.
        """
        del history

    def hear(self, records: Sequence[Record]) -> None:
        """Take records of the binding's `beside` and `after` topics, each topic in order.

        After each start these are the newest records of each key, and later whatever is written.
        """
        del records

    @abstractmethod
    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Take records in; return the messages to send before the records count as done."""

    async def tick(self) -> list[Message]:
        """Do what is due by the wall clock; the messages returned are sent at once.

        Called every `settings.flush` while the sink owns a partition of its topic, and earlier if it takes
        records after a pause. It must not raise a SinkError for what `take` can do without: while it is tried
        again, nothing is taken.
        """
        return []

    async def needs(self, partition: int) -> int | None:
        """Return the offset from which on the store behind this sink lacks records; None: it does not know.

        Called before every `take` and every `settings.flush`. If the offset is lower than what was taken, the
        store was replaced, and the topic is read again from there.
        """
        del partition
        return None

    async def rest(self) -> list[Message]:
        """Stop what must not run twice: another process owns the topic's partitions now.

        `start` is called before anything else if they come back. Of the messages returned only those for the
        `beside` topic are still sent.
        """
        return []

    async def stop(self) -> None:
        """Close connections. Called at the end, after `rest`."""
        return

    def adopt(self, routing: Routing) -> None:
        """Use these routes from now on: the rule files have changed."""
        del routing

    def health(self) -> str | None:
        """Return what is wrong although the calls succeed, or None."""
        return None


@dataclass(frozen=True, slots=True)
class SinkBinding:
    """A sink on a topic.

    history: the compacted topic that the sink reads as a whole before it starts. beside: another compacted
    topic, which it reads as a whole then and follows afterwards. after: one more, followed in the same way,
    but the sink hears each of its later records only once it has taken everything that lay on its own topic
    when that record was read.
    """

    topic: Topic
    sink: Sink
    history: Topic | None = None
    beside: Topic | None = None
    after: Topic | None = None
