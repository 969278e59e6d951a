"""Makes the points that the sinks write from the contents of windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, repeat, starmap
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from llmvitals.merge.plan import MergePlan
from llmvitals.merge.rollup import Windows
from llmvitals.metrics.columns import CALLS, COUNTS, RARE, SCORES, TOP, TOXICITY
from llmvitals.metrics.registry import METRICS, stored_metrics
from llmvitals.metrics.table import MetricTable
from llmvitals.record.details import Details
from llmvitals.record.point import Point, RowPoint, fields
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_key
from llmvitals.record.view import OTHER
from llmvitals.sketch import scores, top_k
from llmvitals.sketch.counters import SUM
from llmvitals.window import ROLLUPS

_TOTALS: Final = {"scored_calls": "toxicity_count"}
"""Field → its sum, where that has another name."""
_RARE: Final = frozenset(chain.from_iterable(RARE.values()))
_FIRST: Final = {name: first for first, names in RARE.items() for name in names}
"""Count that few points have → the sum that decides whether a point has it."""
_TOP_COUNTS: Final = fields(("calls", "tokens"))
_TOP_MEASURES: Final = fields(("cost_usd",))
_NO_TEXTS: Final[dict[str, str]] = {}
_raws: Final = msgspec.json.Decoder(list[list[msgspec.Raw]]).decode
_json: Final = msgspec.json.Encoder().encode


@cache
def _table(measurement: str, names: tuple[str, ...]) -> MetricTable:
    """Look the metrics up in the registry. names: all names in it, as metrics may be registered later on."""
    del names
    return MetricTable.of(stored_metrics(measurement))


@cache
def _counts(measurement: str) -> tuple[list[str], list[int], list[int]]:
    """The names of counts, those that few points have last; the sum of each; the sums that decide about them.

    Sums are places in SUMS.
    """
    names = sorted(COUNTS[measurement], key=_RARE.__contains__)
    firsts = [SUM[_FIRST[name]] for name in names if name in _FIRST] if measurement == CALLS else []
    return names, [SUM[_TOTALS.get(name, name)] for name in names], firsts


def window_points(windows: Windows, plan: MergePlan, upto: int) -> list[Point | RowPoint]:
    """Make the points of windows of a stored view.

    upto: the pane up to which the windows are counted.
    """
    rows, starts = windows.rows, windows.starts.tolist()
    tags = _tags(windows, plan)
    points: list[Point | RowPoint] = [*_row_points(CALLS, rows, starts, tags, upto=upto)]
    scored = np.flatnonzero((rows.sums[:, [SUM["toxicity_count"], SUM["unscored_calls"]]] != 0).any(axis=1))
    if len(scored) == len(rows):
        points += _row_points(TOXICITY, rows, starts, tags, upto=upto)
    elif len(scored):
        some = [starts[row] for row in scored.tolist()], [tags[row] for row in scored.tolist()]
        points += _row_points(TOXICITY, rows.take(scored), *some, upto=upto)
    points += _details_points(windows, starts, tags, plan, upto=upto)
    return points


def _details_points(
    windows: Windows, starts: Sequence[int], tags: Sequence[msgspec.Raw], plan: MergePlan, *, upto: int
) -> Iterator[Point | RowPoint]:
    rows = windows.rows
    for row, details in rows.details.items() if windows.window in ROLLUPS else ():
        known = msgspec.json.decode(tags[row], type=dict[str, str])
        calls = Point(measurement=CALLS, start=starts[row], tags=known, counts={}, measures={}, upto=upto)
        found = Details.unpack(details)
        yield from _score_points(calls, found)
        if plan.views[windows.view].contributors:
            yield from _contributor_points(starts[row], tags[row], found, most=plan.contributors, upto=upto)


def _tags(windows: Windows, plan: MergePlan) -> list[msgspec.Raw]:
    """The tags of each row, as JSON."""
    view = plan.views[windows.view]
    head = b'{"view":%b,"window":%b' % (_json(view.name), _json(windows.window))
    labels = [b",%b:" % _json(name) for name in view.by]
    other = series_key(view.name, (OTHER,) * len(view.by))
    away = b',"shard":%b' % _json(str(plan.shard)) if plan.away(view.name, (OTHER,) * len(view.by)) else b""
    form = b"%b%b%%b}" % (
        head.replace(b"%", b"%%"),
        b"".join(b"%b%%b" % label.replace(b"%", b"%%") for label in labels),
    )
    return [
        msgspec.Raw(form % (*values, away if name == other else b""))
        for name, (_, *values) in zip(windows.names, _raws(b"[%b]" % b",".join(windows.names)), strict=True)
    ]


def _row_points(
    measurement: str, rows: Rows, starts: Sequence[int], tags: Sequence[msgspec.Raw], *, upto: int
) -> Iterator[RowPoint]:
    table = _table(measurement, tuple(METRICS))
    measures = table.read(rows)
    names, totals, firsts = _counts(measurement)
    counts = rows.sums[:, totals]
    counted = np.ones(counts.shape, np.bool_)
    counted[:, len(names) - len(firsts) :] = rows.sums[:, firsts] != 0
    return map(
        RowPoint,
        repeat(measurement),
        starts,
        tags,
        _fields(names, counts, counted),
        _fields(table.fields, measures, ~np.isnan(measures)),
        repeat(_NO_TEXTS),
        repeat(upto),
    )


def _fields(
    names: Sequence[str], table: NDArray[np.int64] | NDArray[np.float64], there: NDArray[np.bool_]
) -> list[msgspec.Struct]:
    """The values of each row, of those names that are there."""
    packed = np.packbits(there, axis=1)
    if (packed == packed[:1]).all():  # as usual
        return _structs(names, table, there[:1])
    kinds: dict[bytes, list[int]] = {}
    for place, kind in enumerate(packed.view(f"V{packed.shape[1]}").ravel().tolist()):
        kinds.setdefault(kind, []).append(place)
    found = np.empty(len(table), object)
    for places in kinds.values():
        found[places] = _structs(names, table[places], there[places[:1]])
    return list(found)


def _structs(
    names: Sequence[str], table: NDArray[np.int64] | NDArray[np.float64], there: NDArray[np.bool_]
) -> list[msgspec.Struct]:
    """The same for rows that have all the same names. there: of one of them."""
    columns = np.flatnonzero(there.any(axis=0))
    struct = fields(tuple(names[column] for column in columns.tolist()))
    return list(starmap(struct, table[:, columns].tolist()))


def _contributor_points(
    start: int, tags: msgspec.Raw, details: Details, *, most: int, upto: int
) -> Iterator[RowPoint]:
    head = bytes(tags)[:-1]
    for kind in top_k.KINDS:
        if kind not in details.contributors:
            continue
        for rank, (name, share) in enumerate(top_k.heaviest(details.contributors[kind], most), 1):
            calls, cost, tokens, *_ = share
            yield RowPoint(
                TOP,
                start,
                msgspec.Raw(b"%b%b" % (head, _place(kind, rank))),
                _TOP_COUNTS(calls, tokens),
                _TOP_MEASURES(cost / 10**9),
                {"name": name},
                upto,
            )


@cache
def _place(kind: str, rank: int) -> bytes:
    """The last tags of a contributor, as JSON."""
    return b',"kind":%b,"rank":"%d"}' % (_json(kind), rank)


def _score_points(calls: Point, details: Details) -> Iterator[Point]:
    for name, score in sorted(details.scores.items()):
        measures = {"score_mean": scores.mean(score)}
        if (deviation := scores.deviation(score)) is not None:
            measures["score_deviation"] = deviation
        tags, counts = {**calls.tags, "score": name}, {"scores": score[0]}
        yield replace(calls, measurement=SCORES, tags=tags, counts=counts, measures=measures)
