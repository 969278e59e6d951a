"""Reads records into calls. Unreadable records and calls with implausible times are refused one by one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.columns import Columns, columns
from llmvitals.combine.dead_letters import defect
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.unmetered import set_unmetered
from llmvitals.errors import BadCall, Code, bad
from llmvitals.record.call import EARLIEST, Call, ended
from llmvitals.record.log import Record

Ints = NDArray[np.int64]

_FAR: Final = 10**15
"""Milliseconds that are implausible, before or after 1970, and still fit into 64 bits as µs."""

_AGAIN: Final = 20
"""Records after one that is no native call, of which only `decode` tries whether they are."""


@dataclass(slots=True)
class Batch:
    """The contents of some records.

    calls, at: the calls, and for each the place of its record. refused: place of the record, and the error.
    filtered: place of the record, and how many things in it (such as spans) are no calls. unread: place of
    the record, instrumentor, and how many things of it look like calls and are not read.
    """

    calls: list[Call] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    refused: list[tuple[int, BadCall]] = field(default_factory=list)
    filtered: list[tuple[int, int]] = field(default_factory=list)
    unread: list[tuple[int, str, int]] = field(default_factory=list)


@dataclass(slots=True)
class Timely:
    """Calls with plausible times: place of the record, event and Kafka time (µs), columns."""

    at: Ints
    times: Ints
    kafka: Ints
    columns: Columns


def read(records: Sequence[Record], plan: CombinePlan) -> Batch:
    """Read records. An unreadable one is noted in `refused`."""
    batch = Batch()
    values = [record.value or b"" for record in records]
    place = 0
    while place < len(values):
        calls = _native_calls(values[place:], plan)
        batch.calls += calls
        batch.at += range(place, place + len(calls))
        start = place + len(calls)
        place = min(start + _AGAIN, len(values))
        for other in range(start, place):
            _decode(records[other], other, plan, batch)
    return batch


def _native_calls(values: Sequence[bytes], plan: CombinePlan) -> list[Call]:
    """The calls of the first records, up to one that is no native call; `decode` decides what that is."""
    calls: list[Call] = []
    if plan.native is not None:
        most = plan.max_record_bytes
        small = next((place for place, value in enumerate(values) if len(value) > most), len(values))
        with suppress(Exception):
            calls.extend(map(plan.native, values[:small]))  # what comes before an error stays
    # msgspec does not check the UTF-8 of fields that it skips.
    return calls[: _count_utf8(values[: len(calls)])]


def _count_utf8(values: Sequence[bytes]) -> int:
    """How many of these are UTF-8, up to the first that is not."""
    for place, value in enumerate(values):
        if not value.isascii():
            try:
                value.decode()
            except UnicodeDecodeError:
                return place
    return len(values)


def _decode(record: Record, place: int, plan: CombinePlan, batch: Batch) -> None:
    value = record.value or b""
    if len(value) > plan.max_batch_bytes:
        reason = f"The record has {len(value)} bytes, {plan.max_batch_bytes} are allowed"
        batch.refused.append((place, bad(Code.TOO_LARGE, reason)))
        return
    try:
        decoded = plan.decode(value, record.timestamp * 1_000)
        calls, filtered = list(decoded.calls), decoded.filtered
    except BadCall as error:
        batch.refused.append((place, error))
    except Exception as error:  # noqa: BLE001 - the other calls must not suffer
        batch.refused.append((place, defect(error)))
    else:
        batch.calls += calls
        batch.at += [place] * len(calls)
        batch.refused += [(place, error) for error in decoded.refused]
        batch.unread += [(place, scope, number) for scope, number in decoded.unread.items()]
        if filtered:
            batch.filtered.append((place, filtered))


def timely(batch: Batch, stamps: Ints, plan: CombinePlan) -> Timely | None:
    """Select the calls of a batch with plausible times, None if there are none; the others are refused.

    stamps: each record's Kafka time in µs; below 0: none, then the call's own time stands in for it.
    """
    calls, at = batch.calls, batch.at
    if not calls:
        return None
    try:
        times, measured = _measure(calls, plan)
    except Exception:  # noqa: BLE001 - the calls are tried one by one below
        readable = [
            place for place in range(len(calls)) if _is_readable(calls[place], at[place], plan, batch)
        ]
        if not readable:
            return None
        at = [at[place] for place in readable]
        times, measured = _measure([calls[place] for place in readable], plan)
    places = np.array(at, np.int64)
    kafka = stamps[places]
    kafka = np.where(kafka < 0, times, kafka)
    future, past = times - kafka > plan.future_us, times < EARLIEST
    plausible = ~(future | past)
    if plausible.all():
        return Timely(places, times, kafka, measured)
    for wrong, code, why in (
        (future & ~past, Code.FUTURE, "The call's time is too far ahead of the record's"),
        (past, Code.PAST, "The call's time is too early"),
    ):
        batch.refused += [(place, bad(code, why)) for place in places[wrong].tolist()]
    kept = np.flatnonzero(plausible)
    return Timely(places[kept], times[kept], kafka[kept], measured.take(kept)) if len(kept) else None


def _measure(calls: Sequence[Call], plan: CombinePlan) -> tuple[Ints, Columns]:
    times = [call.ts for call in calls]
    if set(map(type, times)) == {int}:
        micros = np.array(times, np.int64).clip(-_FAR, _FAR) * 1_000
    else:
        micros = np.array([ended(call) for call in calls], np.int64)
    measured = columns(calls, plan)
    set_unmetered(measured.vectors, calls, plan.unmetered)
    return micros, measured


def _is_readable(call: Call, place: int, plan: CombinePlan, batch: Batch) -> bool:
    try:
        _measure([call], plan)
    except Exception as error:  # noqa: BLE001 - the other calls must not suffer
        batch.refused.append((place, defect(error)))
        return False
    return True
