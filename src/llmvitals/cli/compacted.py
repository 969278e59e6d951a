"""Reads and writes compacted topics for commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import typer

from llmvitals.record.log import Message, Topic
from llmvitals.record.user_action import UserAction, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.settings import Settings


async def write(settings: Settings, act: UserAction) -> None:
    """Write records for the worker that owns the alerts. Raises BrokerDown or MissingTopic."""
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415 - other commands don't need it
    from llmvitals.runtime.kafka.producer import Producer  # noqa: PLC0415 - nor this

    await find_topics(settings, [settings.topic(Topic.SILENCES)])
    outbox = Producer(settings, "silence")
    try:
        async with asking(settings, 20):
            await outbox.start()
            await outbox.deliver([Message(Topic.SILENCES, act.key, encode(act))])
    finally:
        await outbox.stop()


async def read(settings: Settings, topic: Topic, reader: Any) -> list[Any]:
    """Return the values of a compacted topic, read by `reader`; report those that it can't read.

    Raises BrokerDown or MissingTopic.
    """
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415 - other commands don't need it
    from llmvitals.runtime.kafka.tail import Tail  # noqa: PLC0415 - nor this

    name = settings.topic(topic)
    await find_topics(settings, [name])
    tail, found = Tail(settings, "look"), []
    try:
        async with asking(settings, 60):
            await tail.start()
            records = await tail.whole(name)
    finally:
        await tail.stop()
    for record in records:
        try:
            found.append(reader(record.value))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            typer.echo(f"{name}: offset {record.offset} can't be read", err=True)
    return found


def drawn(rows: Sequence[Any], nothing: str, *, as_json: bool) -> bool:
    """Print the rows as JSON, or that there are none; return whether a table is still to be drawn."""
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row))
    elif not rows:
        typer.echo(nothing)
    return bool(rows) and not as_json
