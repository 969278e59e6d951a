"""A bucket: some of a shard's series as plain data. Vitals stay packed until they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from llmvitals.merge.plan import Panes
from llmvitals.record.view import OTHER
from llmvitals.record.vitals import Vitals, merged

Slots = dict[str, tuple[int, bytes]]
"""`slot_of` a source → the greatest version, and its packed vitals."""

_ARM: Final = "\0"
"""Separates source and arm. No topic's name contains it."""
_MOVED: Final = "@"
"""Separates a source and the closed pane that its vitals belong to. No topic's name contains it."""
_CUT: Final = " "
"""Separates these and the key of a series that is counted in OTHER. No topic's name contains it."""


class Bucket(msgspec.Struct, array_like=True):
    """The state of a bucket, as checkpoints store it.

    applied: frames below this offset are contained. opened: pane → series → slots. minutes: start → series →
    its closed panes. windows: name → start → series → the sum of its complete minutes. rule_states: series →
    the state of the rules.
    """

    applied: int
    opened: dict[int, dict[bytes, Slots]] = {}
    minutes: dict[int, dict[bytes, list[bytes]]] = {}
    windows: dict[str, dict[int, dict[bytes, bytes]]] = {}
    rule_states: dict[bytes, dict[str, Any]] = {}

    def put(self, pane: int, key: bytes, slot: str, content: tuple[int, bytes]) -> bool:
        """Store (version, vitals) in a slot if the version is newer. Returns whether it was."""
        slots = self.opened.setdefault(pane, {}).setdefault(key, {})
        previous = slots.get(slot)
        if previous is not None and previous[0] >= content[0]:
            return False
        slots[slot] = content
        return True

    def close(self, low: int) -> dict[bytes, Panes]:
        """Remove the panes below `low`, and return series → its closed panes, summed over all sources."""
        closed: dict[bytes, Panes] = {}
        for pane in sorted(pane for pane in self.opened if pane < low):
            for key, slots in self.opened.pop(pane).items():
                closed.setdefault(key, []).append((pane, summed(slots)))
        return closed

    def series(self) -> int:
        """How many series this bucket has."""
        keys: set[bytes] = set(self.rule_states)
        keys.update(*self.opened.values(), *self.minutes.values())
        for starts in self.windows.values():
            keys.update(*starts.values())
        return len(keys)

    def pack(self) -> bytes:
        """Msgpack."""
        return _encoder.encode(self)


def slot_of(source: str, arm: str, *, closed: int | None = None, cut: bytes = b"") -> str:
    """The slot of a source's vitals in a pane.

    arm: of a split view, else "". closed: the pane of the vitals, if it has closed and they are counted in
    this one. cut: the key of their series, if they are counted in OTHER.
    """
    slot = source if closed is None else f"{source}{_MOVED}{closed}"
    if cut:
        slot = f"{slot}{_CUT}{cut.decode()}"
    return f"{slot}{_ARM}{arm}" if arm else slot


def summed(slots: Slots) -> Vitals:
    """Sum all sources of a series in a pane. For a split view, also each arm except OTHER.

    Calls that were moved from a closed pane all count as late.
    """
    arms: dict[str, list[Vitals]] = {}
    for slot, (_, packed) in slots.items():
        source, _, arm = slot.partition(_ARM)
        vitals = Vitals.unpack(packed)
        moved = _MOVED in source.partition(_CUT)[0]
        arms.setdefault(arm, []).append(vitals.marked_late() if moved else vitals)
    if not any(arms):
        return merged(arms.get("", []))
    by_arm = {arm: merged(arms[arm]) for arm in sorted(arms)}
    whole = merged([*by_arm.values()])
    by_arm.pop(OTHER, None)
    return replace(whole, arms=by_arm)


def unpack(data: bytes) -> Bucket:
    """Back from `Bucket.pack`. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Bucket)
