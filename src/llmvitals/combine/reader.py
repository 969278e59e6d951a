"""Records → calls; what can't be read, or lies about its time, is refused one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.columns import Columns, columns
from llmvitals.combine.dead_letters import defect
from llmvitals.combine.plan import CombinePlan
from llmvitals.errors import CURES, BadCall, Code
from llmvitals.record.call import Call, ended
from llmvitals.record.log import Record
from llmvitals.window import SECOND

Ints = NDArray[np.int64]

EARLIEST: Final = 1_420_070_400 * SECOND
"""The beginning of 2015: what claims to be older says seconds where milliseconds are due."""
_FAR: Final = 10**15
"""Milliseconds that are beyond belief either way, and can still be told in µs."""


@dataclass(slots=True)
class Batch:
    """What records held.

    at: for each call the place of its record. refused: place of the record and why. filtered: place of the
    record and how many things in it are no calls.
    """

    calls: list[Call] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    refused: list[tuple[int, BadCall]] = field(default_factory=list)
    filtered: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Timely:
    """Calls whose time is believed, side by side: place of the record, event and Kafka time (µs), columns."""

    at: Ints
    times: Ints
    kafka: Ints
    columns: Columns


def read(records: Sequence[Record], plan: CombinePlan) -> Batch:
    """Everything that records hold."""
    batch = Batch()
    calls, at, native, most = batch.calls, batch.at, plan.native, plan.max_record_bytes
    for place, record in enumerate(records):
        value = record.value or b""
        if native is not None and len(value) <= most:
            try:
                call = native(value)
                # A JSON decoder doesn't look into what it skips.
                _ = value.isascii() or value.decode()
            except Exception:  # noqa: BLE001 - whatever it stumbled over, decode has the last word
                _decode(value, place, plan, batch)
            else:
                calls.append(call)
                at.append(place)
        else:
            _decode(value, place, plan, batch)
    return batch


def _decode(value: bytes, place: int, plan: CombinePlan, batch: Batch) -> None:
    if len(value) > plan.max_record_bytes:
        why = f"The record has {len(value)} bytes, {plan.max_record_bytes} are allowed"
        batch.refused.append((place, _bad(Code.TOO_LARGE, why)))
        return
    try:
        found = plan.decode(value)
        calls, filtered = list(found.calls), found.filtered
    except BadCall as why:
        batch.refused.append((place, why))
    except Exception as error:  # noqa: BLE001 - one call's defect is not its neighbours'
        batch.refused.append((place, defect(error)))
    else:
        batch.calls += calls
        batch.at += [place] * len(calls)
        if filtered:
            batch.filtered.append((place, filtered))


def timely(batch: Batch, stamps: Ints, plan: CombinePlan) -> Timely | None:
    """The calls of a batch whose times are believed, None if there are none; the others are refused.

    stamps: each record's Kafka time in µs, below 0 for none (then a call's own time is all there is).
    """
    calls, at = batch.calls, batch.at
    if not calls:
        return None
    try:
        times, found = _measure(calls, plan)
    except Exception:  # noqa: BLE001 - found out below, call by call
        sound = [place for place in range(len(calls)) if _sound(calls[place], at[place], plan, batch)]
        if not sound:
            return None
        at = [at[place] for place in sound]
        times, found = _measure([calls[place] for place in sound], plan)
    places = np.array(at, np.int64)
    kafka = stamps[places]
    kafka = np.where(kafka < 0, times, kafka)
    future, past = times - kafka > plan.future_us, times < EARLIEST
    good = ~(future | past)
    if good.all():
        return Timely(places, times, kafka, found)
    for wrong, code, why in (
        (future & ~past, Code.FUTURE, "The call's time is too far ahead of the record's"),
        (past, Code.PAST, "The call's time is too early"),
    ):
        batch.refused += [(place, _bad(code, why)) for place in places[wrong].tolist()]
    kept = np.flatnonzero(good)
    return Timely(places[kept], times[kept], kafka[kept], found.take(kept)) if len(kept) else None


def _bad(code: Code, what: str) -> BadCall:
    return BadCall(code, f"{what}. {CURES[code]}")


def _measure(calls: Sequence[Call], plan: CombinePlan) -> tuple[Ints, Columns]:
    times = [call.ts for call in calls]
    if set(map(type, times)) == {int}:
        micros = np.array(times, np.int64).clip(-_FAR, _FAR) * 1_000
    else:
        micros = np.array([ended(call) for call in calls], np.int64)
    costs = list(map(plan.assess, calls))
    return micros, columns(calls, costs, plan.dimensions, meaning=plan.meaning)


def _sound(call: Call, place: int, plan: CombinePlan, batch: Batch) -> bool:
    try:
        _measure([call], plan)
    except Exception as error:  # noqa: BLE001 - one call's defect is not its neighbours'
        batch.refused.append((place, defect(error)))
        return False
    return True
