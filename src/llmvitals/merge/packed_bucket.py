"""A bucket as checkpoints store it, and as older versions did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.merge.bucket import Bucket, Slots
from llmvitals.merge.plan import MergePlan
from llmvitals.merge.series_rows import OpenRows, SeriesRows
from llmvitals.merge.series_table import PlacedRows, SeriesTable
from llmvitals.record.packed_rows import PackedMatrix, PackedRows
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_key, series_of
from llmvitals.record.vitals import Vitals

Ints = NDArray[np.int64]

_ARM: Final = "\0"
"""In slots of older versions: separates source and arm."""
_PLAIN: Final = frozenset("@# ")
"""In a slot: it is none of a table."""


class _PackedSeriesRows(msgspec.Struct, array_like=True):
    """numbers: columns of series, starts and, of open panes, versions and sources."""

    numbers: PackedMatrix
    rows: PackedRows

    @classmethod
    def of(cls, found: SeriesRows, *more: Ints) -> _PackedSeriesRows:
        columns = np.stack((found.series, found.starts, *more), axis=1)
        return cls(PackedMatrix.of(columns), PackedRows.of(found.rows))

    def unpack(self, width: int = 2) -> tuple[SeriesRows, Ints]:
        columns = self.numbers.unpack(width)
        return SeriesRows(columns[:, 0], columns[:, 1], self.rows.unpack()), columns[:, 2:]


class _PackedTable(msgspec.Struct, array_like=True):
    names: list[bytes]
    sources: list[str]
    open: _PackedSeriesRows | None
    minutes: dict[int, _PackedSeriesRows]
    windows: dict[str, dict[int, _PackedSeriesRows]]

    @classmethod
    def of(cls, table: SeriesTable) -> _PackedTable:
        whole = table.open.whole()
        return cls(
            table.names,
            table.sources,
            _PackedSeriesRows.of(whole.found, whole.versions, whole.sources) if whole else None,
            {
                start: _PackedSeriesRows.of(SeriesRows.concatenated(parts))
                for start, parts in table.minutes.items()
            },
            {
                name: {start: _PackedSeriesRows.of(found) for start, found in starts.items()}
                for name, starts in table.windows.items()
            },
        )

    def unpack(self) -> SeriesTable:
        table = SeriesTable(self.names, self.sources)
        if self.open:
            found, more = self.open.unpack(4)
            table.open.put(OpenRows.of(found, more[:, 0], more[:, 1]))
        table.minutes = {start: [packed.unpack()[0]] for start, packed in self.minutes.items()}
        table.windows = {
            name: {start: packed.unpack()[0] for start, packed in starts.items()}
            for name, starts in self.windows.items()
        }
        return table


class _PackedBucket(msgspec.Struct, array_like=True):
    """opened: `Bucket.apart`. Older versions packed all vitals one by one, and had no tables."""

    applied: int
    opened: dict[int, dict[bytes, Slots]] = {}
    minutes: dict[int, dict[bytes, list[bytes]]] = {}
    windows: dict[str, dict[int, dict[bytes, bytes]]] = {}
    rule_states: dict[bytes, dict[str, Any]] = {}
    tables: dict[str, _PackedTable] = {}


def pack(bucket: Bucket) -> bytes:
    """Msgpack."""
    tables = {view: _PackedTable.of(table) for view, table in bucket.tables.items()}
    return _encoder.encode(
        _PackedBucket(bucket.applied, bucket.apart, rule_states=bucket.rule_states, tables=tables)
    )


def unpack(data: bytes, plan: MergePlan) -> Bucket:
    """Back from `pack`. Tables of views that the plan lacks are dropped.

    Raises msgspec.DecodeError and ValueError for what `pack` does not make.
    """
    packed = _decoder.decode(data)
    tables = {view: table.unpack() for view, table in packed.tables.items() if table.names}
    bucket = Bucket(packed.applied, tables, rule_states=packed.rule_states)
    for pane, keys in packed.opened.items():
        for key, slots in keys.items():
            _put_slots(bucket, pane, key, slots)
    _put_older(bucket, packed)
    for view in [*bucket.tables]:
        if not plan.wants(*_home(plan, bucket.tables[view].names[0])):
            del bucket.tables[view]
    return bucket


def _home(plan: MergePlan, name: bytes) -> tuple[str, tuple[str, ...]]:
    view, series = series_of(name)
    return view, plan.home(view, series)[0]


def _put_slots(bucket: Bucket, pane: int, key: bytes, slots: Slots) -> None:
    """Put slots apart, or, where an older version kept entries of a table in them, into the table."""
    view, series = series_of(key)
    for slot, content in slots.items():
        source, _, arm = slot.partition(_ARM)
        own = series_key(view, (*series, arm)) if arm else key
        if _PLAIN.isdisjoint(source):
            rows = Rows.of([Vitals.unpack(content[1])])
            part = PlacedRows(view, [own], np.array([pane]), content[0], rows, eager=False)
            bucket.put_rows(source, part)
        else:
            bucket.put(pane, own, source, content)


def _put_older(bucket: Bucket, packed: _PackedBucket) -> None:
    """Put the minutes and windows of an older version into tables."""
    for start, series in packed.minutes.items():
        for view, rows in _of_views(bucket, start, series.items()):
            bucket.table(view).minutes.setdefault(start, []).append(rows)
    for name, starts in packed.windows.items():
        for start, windows in starts.items():
            each = ((key, [data]) for key, data in windows.items())
            for view, rows in _of_views(bucket, start, each):
                bucket.table(view).windows.setdefault(name, {})[start] = rows.summed()


def _of_views(
    bucket: Bucket, start: int, series: Iterable[tuple[bytes, list[bytes]]]
) -> Iterator[tuple[str, SeriesRows]]:
    """View → rows. series: keys, and the packed vitals of each."""
    views: dict[str, list[tuple[int, bytes, Vitals]]] = {}
    for key, every in series:
        found = views.setdefault(series_of(key)[0], [])
        found += [(start, key, Vitals.unpack(data)) for data in every]
    for view, entries in views.items():
        yield view, bucket.table(view).rows(entries)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_PackedBucket)
