"""A combine stage's checkpoint: a few numbers, the rest is in the log."""

from __future__ import annotations

import msgspec

from llmvitals.combine.breaker import Breaker
from llmvitals.errors import AFRESH, ConfigError, StateLost
from llmvitals.window import NEVER

PART = "manifest"
VERSION = 1


class Manifest(msgspec.Struct, kw_only=True):
    """What survives a crash.

    offset, watermark: where a replay starts, and the watermark as it stood there, µs. floor: the lowest pane
    that is not sealed. applied: every offset below it was counted in `counters`, and nothing of a replay is
    given out before it is reached. promises: those that the replay passes and the one in force at its start.
    letters: dead letters by code. breaker: as it stands at `applied`.
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
    breaker: Breaker = msgspec.field(default_factory=Breaker)

    def encode(self) -> bytes:
        """Msgpack."""
        return msgspec.msgpack.encode(self)


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
            f"the checkpoint of combine can't be read ({error}); to begin afresh {AFRESH}"
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
