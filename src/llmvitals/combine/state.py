"""The checkpoint of combine: a few numbers and the ids of sealed panes. The log has everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from llmvitals.combine.breaker import Breaker
from llmvitals.combine.pane_ids import SealedIds
from llmvitals.errors import AFRESH, ConfigError, StateLost
from llmvitals.record.chunk import MANIFEST
from llmvitals.tracebacks import summary
from llmvitals.window import FOREVER, NEVER

VERSION = 1
IDS: Final = "ids."
"""The ids of a sealed pane are the part `ids.PANE`, written once and removed when they are forgotten."""


class Manifest(msgspec.Struct, kw_only=True):
    """The state that survives a crash.

    offset, watermark: where a replay starts, and the watermark there, µs. floor: the lowest pane that is not
    sealed. applied: offsets below it are counted in `counters`; a replay emits nothing before it. promises:
    see Clock.needed. letters: dead letters by code. ids: the lowest pane whose ids are in the checkpoint, and
    how many panes below the floor have a part; older checkpoints have none. breaker: as it was at `applied`.
    """

    v: int = VERSION
    pane_us: int
    disorder_us: int
    offset: int
    watermark: int = NEVER
    floor: int = NEVER
    applied: int
    promises: list[tuple[int, int]] = []
    counters: dict[str, int] = {}
    letters: dict[str, int] = {}
    ids: tuple[int, int] = (FOREVER, 0)
    breaker: Breaker = msgspec.field(default_factory=Breaker)

    def encode(self) -> bytes:
        """Msgpack."""
        return msgspec.msgpack.encode(self)

    def hold_ids(self, sealed_ids: Mapping[int, SealedIds]) -> dict[str, bytes]:
        """Set `ids` and return the parts with the ids of these panes."""
        sealed = {
            number: pane.data for number, pane in sealed_ids.items() if number < self.floor and len(pane)
        }
        self.ids = (min(sealed, default=FOREVER), len(sealed))
        return {f"{IDS}{number}": data for number, data in sealed.items()}


def restore(parts: dict[str, bytes], *, pane_us: int, disorder_us: int, beginning: int) -> Manifest:
    """Read the newest checkpoint; without one, start at the beginning of the log.

    Raises StateLost when it can't be read, ConfigError when it was written with other settings.
    """
    if not parts:
        return Manifest(pane_us=pane_us, disorder_us=disorder_us, offset=beginning, applied=beginning)
    try:
        manifest = msgspec.msgpack.decode(parts[MANIFEST], type=Manifest)
    except (KeyError, msgspec.DecodeError) as error:
        raise StateLost(
            f"the checkpoint of combine can't be read ({summary(error)}); to start afresh, {AFRESH}"
        ) from error
    if manifest.v != VERSION:
        raise StateLost(
            f"the checkpoint of combine has version {manifest.v}, this llmvitals reads {VERSION}: "
            f"run the version that wrote it, or, to start afresh, {AFRESH}"
        )
    for name, before, now in (
        ("pane", manifest.pane_us, pane_us),
        ("disorder", manifest.disorder_us, disorder_us),
    ):
        if before != now:
            raise ConfigError(
                f"LLMVITALS_{name.upper()} was {before} µs when the checkpoint was written and is {now} µs "
                "now; calls of open panes would be lost or counted twice: set it back, or, "
                f"to start afresh, {AFRESH}"
            )
    return manifest


def ids(manifest: Manifest, parts: Mapping[str, bytes]) -> dict[int, SealedIds]:
    """Read the ids of sealed panes. Raises StateLost when some are missing.

    Parts of other panes are ignored: a crash may have come before they were removed, or before their manifest
    was written.
    """
    lowest, count = manifest.ids
    numbers = [int(name.removeprefix(IDS)) for name in parts if name.startswith(IDS)]
    try:
        ids_by_pane = {
            number: SealedIds(parts[f"{IDS}{number}"])
            for number in numbers
            if lowest <= number < manifest.floor
        }
    except (ValueError, msgspec.DecodeError) as error:
        raise StateLost(
            f"the ids of calls in the checkpoint of combine can't be read ({summary(error)}); "
            f"to start afresh, {AFRESH}"
        ) from error
    if len(ids_by_pane) != count:
        raise StateLost(
            f"the checkpoint of combine has the ids of {len(ids_by_pane)} panes "
            f"instead of {count}: duplicates of their calls would be counted again; to start afresh, {AFRESH}"
        )
    return ids_by_pane
