"""Frames as combine sends them, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable

from llmvitals.record.frame import AnyFrame, BlockFrame, Entry, Frame, decode
from llmvitals.record.log import Message, Topic
from llmvitals.record.series import series_of


def read(data: bytes | None) -> list[Frame]:
    """The frame of a message as frames of entries: one for each version."""
    frame = decode(data or b"")
    assert isinstance(frame, Frame | BlockFrame)
    return by_version(frame)


def by_version(frame: AnyFrame) -> list[Frame]:
    """The frame as frames of entries: one for each version."""
    if isinstance(frame, Frame):
        return [frame]
    versions: dict[int, list[Entry]] = {}
    for block in (packed.unpack() for packed in frame.blocks):
        columns = zip(
            block.names, block.panes.tolist(), block.versions.tolist(), block.rows.vitals(), strict=True
        )
        for name, pane, version, vitals in columns:
            view, series = series_of(name)
            assert view == block.view
            versions.setdefault(version, []).append(Entry(view, series, pane, vitals.pack()))
    header = frame.source, frame.sources, frame.shard, frame.shards, frame.floor
    return [
        Frame(*header, version, frame.pane_us, tuple(found)) for version, found in sorted(versions.items())
    ]


def frames(messages: Iterable[Message]) -> list[Frame]:
    """All frames among messages, entry by entry."""
    sent = (message.value for message in messages if message.topic is Topic.PARTIALS)
    return [frame for value in sent for frame in read(value)]


def contents(found: Iterable[Frame]) -> list[tuple[object, ...]]:
    """What frames say of each entry, in a fixed order: it does not depend on how entries are packed."""
    return sorted(
        (frame.shard, frame.floor, frame.version, entry.view, entry.series, entry.pane,
         getattr(entry, "quarter", -1), entry.vitals)
        for frame in found
        for entry in (*frame.entries, *frame.late)
    )  # fmt: skip
