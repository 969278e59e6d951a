"""Records of topics as stages see them: a `Record` comes in, a `Message` goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Topic(StrEnum):
    """The topics of llmvitals by their short names; `Settings.topic` gives the full name."""

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
    """A consumed record, such as aiokafka's. timestamp: ms since 1970."""

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
    """A record that comes from no broker, for replays and tests."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Message(NamedTuple):
    """A record to be produced.

    partition: None lets the key decide. A number that the topic does not have is taken modulo the number of
    its partitions.
    """

    topic: Topic
    key: bytes
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Snapshot:
    """The state of a stage that has to survive a crash.

    offset: where a restart has to read from. parts: name → bytes for the checkpoint topic, *only those that
    changed*; a restart gets the newest version of every part ever written. lasting: parts holds the whole
    state, and only its manifest changes: every other part is written once, and removed when it is no longer
    in `parts`.
    """

    offset: int
    parts: dict[str, bytes] = field(default_factory=dict)
    lasting: bool = False
