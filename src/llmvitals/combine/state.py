"""A combine stage's checkpoint: a few numbers, and ids of sealed panes; the rest is in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from llmvitals.combine.breaker import Breaker
from llmvitals.combine.seen import Packed
from llmvitals.errors import AFRESH, ConfigError, StateLost
from llmvitals.tracebacks import summary
from llmvitals.window import FOREVER, NEVER

PART = "manifest"
VERSION = 1
IDS: Final = "ids."
"""The ids of a sealed pane are the part `ids.PANE`: written once, removed when nobody asks for them."""


class Manifest(msgspec.Struct, kw_only=True):
    """What survives a crash.

    offset, watermark: where a replay starts, and the watermark as it stood there, µs. floor: the lowest pane
    that is not sealed. applied: every offset below it was counted in `counters`, and nothing of a replay is
    given out before it is reached. promises: those that the replay passes and the one in force at its start.
    letters: dead letters by code. ids: the lowest pane whose ids are in the checkpoint, and how many panes
    below the floor have a part; checkpoints of before there were any have none. breaker: as it stands at
    `applied`.
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

    def hold(self, packed: Mapping[int, Packed]) -> dict[str, bytes]:
        """Note which panes' ids are in the checkpoint; their parts."""
        held = {number: pane.data for number, pane in packed.items() if number < self.floor and len(pane)}
        self.ids = (min(held, default=FOREVER), len(held))
        return {f"{IDS}{number}": data for number, data in held.items()}


def restore(parts: dict[str, bytes], *, pane_us: int, disorder_us: int, beginning: int) -> Manifest:
    """The newest checkpoint, or the beginning of the log when there is none.

    Raises StateLost when it can't be read, ConfigError when it was written under other settings.
    """
    if not parts:
        return Manifest(pane_us=pane_us, disorder_us=disorder_us, offset=beginning, applied=beginning)
    try:
        manifest = msgspec.msgpack.decode(parts[PART], type=Manifest)
    except (KeyError, msgspec.DecodeError) as error:
        raise StateLost(
            f"the checkpoint of combine can't be read ({summary(error)}); to begin afresh {AFRESH}"
        ) from error
    if manifest.v != VERSION:
        raise StateLost(
            f"the checkpoint of combine has version {manifest.v}, this llmvitals reads {VERSION}: "
            f"run the version that wrote it, or to begin afresh {AFRESH}"
        )
    for name, had, now in (
        ("pane", manifest.pane_us, pane_us),
        ("disorder", manifest.disorder_us, disorder_us),
    ):
        if had != now:
            raise ConfigError(
                f"LLMVITALS_{name.upper()} was {had} µs when the checkpoint was written and is {now} µs now; "
                "calls that are in no closed pane yet would be lost or counted twice: set it back, or "
                f"to begin afresh {AFRESH}"
            )
    return manifest


def ids(manifest: Manifest, parts: Mapping[str, bytes]) -> dict[int, Packed]:
    """The ids of sealed panes that the checkpoint has. Raises StateLost when some are missing.

    Parts of other panes are passed over: a crash may have come before they were removed, or before the
    manifest that they belong to was written.
    """
    lowest, count = manifest.ids
    numbers = [int(name.removeprefix(IDS)) for name in parts if name.startswith(IDS)]
    try:
        found = {
            number: Packed(parts[f"{IDS}{number}"]) for number in numbers if lowest <= number < manifest.floor
        }
    except (ValueError, msgspec.DecodeError) as error:
        raise StateLost(f"the ids of calls in the checkpoint of combine can't be read ({error})") from error
    if len(found) != count:
        raise StateLost(
            f"the checkpoint of combine should have the ids of {count} panes and has those of {len(found)}: "
            f"copies of their calls would be counted again; to begin afresh {AFRESH}"
        )
    return found
