"""A bucket: the series of one piece of a shard, as plain data. Vitals stay packed while nobody reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from llmvitals.merge.plan import Panes
from llmvitals.record.view import OTHER
from llmvitals.record.vitals import Vitals, merged

Slots = dict[str, tuple[int, bytes]]
"""`slot_of` a source → version and packed vitals of the greatest version."""

_ARM: Final = "\0"
"""Between source and arm; no topic's name holds it."""
_MOVED: Final = "@"
"""Between a source and the closed pane that its vitals belong to; no topic's name holds it."""
_CUT: Final = " "
"""Between these and the name of a series that is counted in OTHER; no topic's name holds it."""


class Bucket(msgspec.Struct, array_like=True):
    """What a checkpoint holds of a bucket.

    applied: every frame below this offset is in. opened: pane → series → slots. minutes: start of the minute
    → series → its closed panes. windows: name → start → series → its complete minutes. rule_states: series →
    the state of its rules.
    """

    applied: int
    opened: dict[int, dict[bytes, Slots]] = {}
    minutes: dict[int, dict[bytes, list[bytes]]] = {}
    windows: dict[str, dict[int, dict[bytes, bytes]]] = {}
    rule_states: dict[bytes, dict[str, Any]] = {}

    def put(self, pane: int, key: bytes, slot: str, content: tuple[int, bytes]) -> bool:
        """Keep (version, vitals) of a source if it is newer than what is there; whether it was."""
        slots = self.opened.setdefault(pane, {}).setdefault(key, {})
        had = slots.get(slot)
        if had is not None and had[0] >= content[0]:
            return False
        slots[slot] = content
        return True

    def close(self, low: int) -> dict[bytes, Panes]:
        """Take out the panes below `low`: series → its closed panes, all sources added up."""
        closed: dict[bytes, Panes] = {}
        for pane in sorted(pane for pane in self.opened if pane < low):
            for key, slots in self.opened.pop(pane).items():
                closed.setdefault(key, []).append((pane, summed(slots)))
        return closed

    def series(self) -> int:
        """How many series are alive here."""
        live: set[bytes] = set(self.rule_states)
        live.update(*self.opened.values(), *self.minutes.values())
        for starts in self.windows.values():
            live.update(*starts.values())
        return len(live)

    def pack(self) -> bytes:
        """Msgpack."""
        return _encoder.encode(self)


def slot_of(source: str, arm: str, *, closed: int | None = None, cut: bytes = b"") -> str:
    """Where in a pane a source's vitals are kept.

    arm: of a split view, "" where there are none. closed: the pane that they belong to, where that one closed
    before and they count in this one. cut: the key of the series that they are of, where they count in OTHER.
    """
    slot = source if closed is None else f"{source}{_MOVED}{closed}"
    if cut:
        slot = f"{slot}{_CUT}{cut.decode()}"
    return f"{slot}{_ARM}{arm}" if arm else slot


def summed(slots: Slots) -> Vitals:
    """All sources of one series in one pane; of a split view all arms, and each but OTHER by itself.

    All calls that belong to a closed pane are late here, whether or not they were late there.
    """
    arms: dict[str, list[Vitals]] = {}
    for slot, (_, packed) in slots.items():
        source, _, arm = slot.partition(_ARM)
        vitals = Vitals.unpack(packed)
        moved = _MOVED in source.partition(_CUT)[0]
        arms.setdefault(arm, []).append(vitals.late() if moved else vitals)
    if not any(arms):
        return merged(arms.get("", []))
    each = {arm: merged(arms[arm]) for arm in sorted(arms)}
    whole = merged([*each.values()])
    each.pop(OTHER, None)
    return replace(whole, arms=each)


def unpack(data: bytes) -> Bucket:
    """Back from `Bucket.pack`. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Bucket)
