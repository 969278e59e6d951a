"""A bucket: some of a shard's series as plain data. Vitals stay packed until they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from llmvitals.merge.plan import Panes
from llmvitals.record.frame import Content
from llmvitals.record.view import OTHER
from llmvitals.record.vitals import Vitals, merged
from llmvitals.window import QUARTER_HOUR

Slots = dict[str, tuple[int, Content]]
"""`slot_of` a source → the greatest version, and its vitals."""

_ARM: Final = "\0"
"""Separates source and arm. No topic's name contains it."""
_MOVED: Final = "@"
"""Separates a source and the closed pane that its vitals belong to. No topic's name contains it."""
_QUARTER: Final = "#"
"""Separates these and the quarter of an hour of late calls' own time. No topic's name contains it."""
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

    def put(self, pane: int, key: bytes, slot: str, content: tuple[int, Content]) -> bool:
        """Store (version, vitals) in a slot if the version is newer. Returns whether it was."""
        slots = self.opened.setdefault(pane, {}).setdefault(key, {})
        previous = slots.get(slot)
        if previous is not None and previous[0] >= content[0]:
            return False
        slots[slot] = content
        return True

    def close(self, low: int, pane_us: int) -> dict[bytes, Panes]:
        """Remove the panes below `low`, and return series → its closed panes, summed over all sources."""
        closed: dict[bytes, Panes] = {}
        for pane in sorted(pane for pane in self.opened if pane < low):
            for key, slots in self.opened.pop(pane).items():
                closed.setdefault(key, []).append((pane, summed(slots, pane_us)))
        return closed

    def series(self) -> int:
        """How many series this bucket has."""
        keys: set[bytes] = set(self.rule_states)
        keys.update(*self.opened.values(), *self.minutes.values())
        for starts in self.windows.values():
            keys.update(*starts.values())
        return len(keys)

    def pack(self) -> bytes:
        """Msgpack. Vitals that combine handed over in this process are packed as well."""
        for slots in (slots for pane in self.opened.values() for slots in pane.values()):
            for slot, (version, vitals) in slots.items():
                if isinstance(vitals, Vitals):
                    slots[slot] = version, vitals.pack()
        return _encoder.encode(self)


def slot_of(
    source: str, arm: str, *, closed: int | None = None, quarter: int | None = None, cut: bytes = b""
) -> str:
    """The slot of a source's vitals in a pane.

    arm: of a split view, else "". closed: the pane of the vitals, if it has closed and they are counted in
    this one. quarter: that of the own time of late calls. cut: the key of their series, if they are counted
    in OTHER.
    """
    slot = source if closed is None else f"{source}{_MOVED}{closed}"
    if quarter is not None:
        slot = f"{slot}{_QUARTER}{quarter}"
    if cut:
        slot = f"{slot}{_CUT}{cut.decode()}"
    return f"{slot}{_ARM}{arm}" if arm else slot


def summed(slots: Slots, pane_us: int) -> Vitals:
    """Sum all sources of a series in a pane. For a split view, also each arm except OTHER.

    Late calls are summed apart (see Vitals.late). Those that were moved from a closed pane are all late.
    """
    arms: dict[str, list[Vitals]] = {}
    late: dict[int, list[Vitals]] = {}
    for slot, (_, packed) in slots.items():
        source, _, arm = slot.partition(_ARM)
        vitals = Vitals.unpack(packed)
        source = source.partition(_CUT)[0]
        if _QUARTER in source or _MOVED in source:
            late.setdefault(_quarter(source, pane_us), []).append(vitals.marked_late())
        else:
            arms.setdefault(arm, []).append(vitals)
    whole = _with_arms(arms) if any(arms) else merged(arms.get("", []))
    return replace(whole, late={number: merged(late[number]) for number in sorted(late)}) if late else whole


def _quarter(slot: str, pane_us: int) -> int:
    """The quarter of an hour of a slot's late calls: named, or that of the closed pane they belong to."""
    moved, named, quarter = slot.partition(_QUARTER)
    return int(quarter) if named else int(moved.partition(_MOVED)[2]) * pane_us // QUARTER_HOUR


def _with_arms(arms: dict[str, list[Vitals]]) -> Vitals:
    by_arm = {arm: merged(arms[arm]) for arm in sorted(arms)}
    whole = merged([*by_arm.values()], with_cells=False)
    by_arm.pop(OTHER, None)
    return replace(whole, arms=by_arm)


def unpack(data: bytes) -> Bucket:
    """Back from `Bucket.pack`. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Bucket)
