"""Frames as combine sends them, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable

from llmvitals.record.frame import AnyFrame, BlockFrame, Entry, Frame, decode
from llmvitals.record.log import Message, Topic
from llmvitals.record.series import series_of


def read(data: bytes | None) -> Frame:
    """The frame of a message, entry by entry."""
    frame = decode(data or b"")
    assert isinstance(frame, Frame | BlockFrame)
    return by_entry(frame)


def by_entry(frame: AnyFrame) -> Frame:
    """The frame, entry by entry."""
    if isinstance(frame, Frame):
        return frame
    entries = []
    for block in (packed.unpack() for packed in frame.blocks):
        for name, pane, vitals in zip(block.names, block.panes.tolist(), block.rows.vitals(), strict=True):
            view, series = series_of(name)
            assert view == block.view
            entries.append(Entry(view, series, pane, vitals.pack()))
    header = frame.source, frame.sources, frame.shard, frame.shards, frame.floor
    return Frame(*header, frame.version, frame.pane_us, tuple(entries))


def frames(messages: Iterable[Message]) -> list[Frame]:
    """All frames among messages, entry by entry."""
    return [read(message.value) for message in messages if message.topic is Topic.PARTIALS]


def contents(found: Iterable[Frame]) -> list[tuple[object, ...]]:
    """What frames say of each entry, in a fixed order: it does not depend on how entries are packed."""
    return sorted(
        (frame.shard, frame.floor, frame.version, entry.view, entry.series, entry.pane,
         getattr(entry, "quarter", -1), entry.vitals)
        for frame in found
        for entry in (*frame.entries, *frame.late)
    )  # fmt: skip
