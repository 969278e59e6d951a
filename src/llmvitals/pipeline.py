"""The stages in order, without Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.log import Message, Record, Snapshot


class Stage(Protocol):
    """One stage's work on one input partition: it knows no Kafka, no clock, no environment.

    The driver (app.py, or a test) hands in records in the order of their offsets and sends what comes out.
    """

    next: int
    """The offset that is expected next."""

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take records in; give what has to be sent."""

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
