"""A topic's records as the stages see them: `Record` comes in, `Message` goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Topic(StrEnum):
    """The topics that stages write to, by what they hold; app.py knows their full names."""

    DEAD_LETTERS = "calls.dlq"
    SCORES = "scores"
    PARTIALS = "partials"
    VITALS = "vitals"
    ALERTS = "alerts"
    WATERMARKS = "watermarks"
    INCIDENTS = "incidents"
    SILENCES = "silences"
    VERDICTS = "verdicts"
    CHECKPOINTS = "checkpoints"


class Record(Protocol):
    """One consumed record; aiokafka's ConsumerRecord is one. `timestamp` is in ms since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Logged(NamedTuple):
    """A record without a broker: for replay and tests."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Message(NamedTuple):
    """One record to be produced. `partition` None lets the key decide."""

    topic: Topic
    key: bytes
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Snapshot:
    """What a stage wants to survive a crash.

    offset: where a restart has to read from. parts: name → bytes to be written to the checkpoint topic,
    *only those that changed*; a restart is handed the newest of every part ever written. lasting: parts holds
    all that there is, and of them only the manifest ever changes: every other part is written once, and
    removed when it is not among them any more.
    """

    offset: int
    parts: dict[str, bytes] = field(default_factory=dict)
    lasting: bool = False
