"""What stages and sinks have in common: the seam between what they do and how they live on Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from llmvitals.record.log import Message, Record, Snapshot, Topic

if TYPE_CHECKING:
    from llmvitals.meters import Meters


class Stage(Protocol):
    """One stage's work on one input partition: it knows no Kafka, no clock, no environment.

    The driver (app.py, or a test) hands in records in the order of their offsets and sends what comes out.
    """

    next: int
    """The offset that is expected next. The driver raises it over a hole at the end of the log."""

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take records in; give what has to be sent."""

    def pieces(self, records: Sequence[Record]) -> Iterator[list[Message]]:
        """The same in pieces of a fraction of a second, between which the driver lets others have their turn.

        Between two of them everything but `apply` may be called; the driver may also leave it at that.
        """

    def flush(self) -> list[Message]:
        """What is worth sending early; called every `settings.flush`."""

    def mark(self) -> int:
        """A token for everything that was given out so far."""

    def delivered(self, mark: int) -> None:
        """All that was given out up to this mark is acknowledged by Kafka."""

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """What has to be written for a restart; whole: all that changed, as at a clean stop.

        The driver writes it only after everything that was given out before this call is acknowledged.
        """


class Idler(Protocol):
    """What a stage has beside `Stage` if it can promise that an idle partition will bring nothing old.

    watermark: µs; window.NEVER when there is none.
    """

    watermark: int

    def promise(self, floor_time: int) -> None:
        """Nothing before `floor_time` (µs) comes from here, from the next offset on.

        The driver writes the snapshot that follows, commits it, and only then calls `flush`.
        """


class Waiter(Protocol):
    """What a stage has beside `Stage` if its pieces wait for others: the driver does them in a thread.

    So the loop goes on meanwhile. While a piece is done nothing is asked of the stage but `next` and its
    counters, of which there are always the same.
    """

    waits: bool


class Roster(Protocol):
    """What a stage has, as `roster`, if it counts some names in `_other`: how many entries of which views."""

    @property
    def cut(self) -> Mapping[str, int]: ...

    def examples(self, view: str) -> Sequence[str]:
        """A few of the names."""


class Make(Protocol):
    """The factory of a process kind's stages, one for each input partition.

    topic, partition: what it reads. parts: the newest checkpoint of that partition ({} when there is none).
    beginning: the oldest offset that Kafka still has. sources: each input topic → number of partitions.
    The stage's `next` is where reading begins: with parts, the offset that its restart needs.
    """

    def __call__(
        self, topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
    ) -> Stage: ...


class Sink(Protocol):
    """The end of a topic: side effects, no state that a checkpoint would hold.

    Calls never overlap, and each ends by itself: how long to wait for an answer is the sink's affair.
    A SinkError with retry is tried again with the same records (the same object) for as long as it takes;
    one without ends the worker. What a sink may have beside, each of it by itself:

    `hear(records) -> None`: records of the tap's `beside` and `after` topics, each in order: the newest of
    each key after each start, and from then on whatever is written.
    `async tick() -> list[Message]`: called every `settings.flush` while a partition of the topic is ours;
    what it gives is sent at once, and lost only with the partition. It must not raise a SinkError for what
    `take` can do without: while it is tried again, nothing is taken.
    `async rest() -> list[Message]`: the topic's partitions went to somebody else; `start` comes before
    anything else if they return. Only messages for the `beside` topic are still sent.
    `async stop()`: called at the end, after `rest`.
    `adopt(routing: Routing) -> None`: the rules were changed, and with them where alerts go.
    `async needs(partition: int) -> int | None`: the offset from which on its store lacks records, by what it
    finds there now; None: it does not look. Called before every `take` and every `settings.flush`. When it is
    lower than what was taken, the store was replaced, and the topic is read again from there.
    `health() -> str | None`: what is wrong although the calls succeed.
    """

    async def start(self, history: Sequence[Record] | None) -> None:
        """Called before the first records, and again whenever other partitions are assigned.

        history: the newest record of each key of the tap's history topic; None where it has no such topic.
        """

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Take records in; give what has to be sent before they count as done."""


@dataclass(frozen=True, slots=True)
class SinkBinding:
    """A sink on a topic.

    history: the compacted topic that the sink wants to know whole before it starts. beside: another compacted
    topic, which it hears whole then and follows afterwards. after: one more, followed in the same way, but
    each of its later records is heard only once the sink has taken all that lay on its own topic when that
    record was read.
    """

    topic: Topic
    sink: Sink
    history: Topic | None = None
    beside: Topic | None = None
    after: Topic | None = None


class Readiness:
    """Several who may have a reason why the worker is not ready, and one line for all of them."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._reasons: dict[str, str] = {}

    def say(self, who: str, reason: str | None) -> None:
        """Give one's reason, or None."""
        self._reasons.pop(who, None)
        if reason:
            self._reasons[who] = reason
        self._meters.ready("; ".join(self._reasons.values()) or None)
