"""The vitals of one series in one pane or window: sums, sketches, contributors, exemplars, scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from llmvitals.sketch import cells, counters, moments, quantiles, scores, top_k

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOPS: Final = {
    "latency_ms": ("latency_us_max", "latency_count", 1_000),
    "ttft_ms": ("ttft_us_max", "ttft_count", 1_000),
    "cost_usd_per_call": ("cost_nano_max", "priced_calls", 10**9),
    "input_tokens_per_call": ("input_tokens_max", "usage_calls", 1),
}
"""Sketch → the counter of its maximum, the counter of its calls, and the maximum's units in one of the
sketch's."""

TOOL_CALLS: Final = "tool_calls"
"""In place of a counter's name: the calls of all tools."""

_encoder = msgspec.msgpack.Encoder(order="sorted")


@dataclass(slots=True, eq=False)  # frozen ones take three times as long to make
class Vitals:
    """Sums and maxima (see sketch.counters), bins (sketch.quantiles), contributors, exemplars, scores.

    They are never changed once they are made. meaning: the sums of embeddings. arms: in a split view, the
    vitals of each arm, while the rest is the sum of all arms. late: of calls that came after their own pane
    had closed, by the quarter of an hour (µs // QUARTER_HOUR) of their own time; they are not part of the
    rest. Neither is packed. cells: of an arm, its calls by cluster (see sketch.cells); None in other views
    and in frames of older versions. Law: `merged` is associative and commutative, `Vitals()` is its identity,
    and equal contents pack to equal bytes.
    """

    sums: tuple[int, ...] = (0,) * len(counters.SUMS)
    maxima: tuple[int, ...] = (0,) * len(counters.MAXIMA)
    bins: quantiles.Bins = quantiles.NO_BINS
    contributors: top_k.Contributors = field(default_factory=dict)
    exemplars: top_k.Exemplars = field(default_factory=dict)
    scores: scores.Scores = field(default_factory=dict)
    meaning: moments.Meaning = field(default_factory=dict)
    arms: Mapping[str, Vitals] = field(default_factory=dict)
    late: Mapping[int, Vitals] = field(default_factory=dict)
    cells: cells.Cells | None = None

    def total(self, name: str) -> int:
        """One of counters.SUMS, or a maximum of counters.MAXIMA. Raises KeyError for another name."""
        place = counters.SUM.get(name)
        return self.maxima[counters.MAX[name]] if place is None else self.sums[place]

    def quantile(self, sketch: str, q: float) -> float | None:
        """The quantile q (0 … 1) in the unit of the sketch's name; None without values.

        It is at most `top`, because the middle of a bin may be above the exact maximum.
        """
        value, top = quantiles.quantile(self.bins, sketch, q), self.top(sketch)
        return value if value is None or top is None else min(value, top)

    def top(self, sketch: str) -> float | None:
        """The exact maximum in the unit of the sketch's name; None without values, or if none is kept."""
        if sketch not in TOPS:
            return None
        maximum, calls, unit = TOPS[sketch]
        return self.maxima[counters.MAX[maximum]] / unit if self.sums[counters.SUM[calls]] else None

    def heaviest(self, kind: str, most: int = 5) -> list[tuple[str, top_k.Share]]:
        """The heaviest contributors of a kind (top_k.KINDS): name and share."""
        return top_k.heaviest(self.contributors.get(kind, {}), most)

    def cut(self, most: int) -> Vitals:
        """A copy with only the `most` heaviest contributors of each kind."""
        return replace(self, contributors=top_k.cut(self.contributors, most))

    @property
    def on_time(self) -> bool:
        """Whether anything but late calls is in it."""
        return not self.late or any(self.sums) or bool(self.scores or self.meaning)

    def whole(self) -> Vitals:
        """All calls, late ones too; without arms."""
        return merged([self, *self.late.values()]) if self.late else self

    def marked_late(self) -> Vitals:
        """A copy in which all calls are late."""
        sums = list(self.sums)
        sums[counters.SUM["late_calls"]] = self.total("calls")
        return replace(self, sums=tuple(sums))

    def pack(self) -> bytes:
        """Pack to canonical msgpack: equal contents give equal bytes.

        Without cells and the sums beyond `counters.ALWAYS`, these are the bytes that older versions write.
        """
        keys, counts = self.bins
        packed = (
            counters.trimmed(self.sums),
            self.maxima,
            keys.astype("<u2").tobytes(),
            quantiles.pack_counts(counts),
            self.contributors,
            self.exemplars,
            self.scores,
            self.meaning,
        )
        return _encoder.encode(packed if self.cells is None else (*packed, cells.pack_cells(self.cells)))

    @classmethod
    def unpack(cls, data: bytes) -> Vitals:
        """Unpack what is packed. Vectors of an older version are shorter; the missing counters are 0."""
        stored = _decoder.decode(data)
        length = len(stored.keys) // 2
        return cls(
            stored.sums + (0,) * (len(counters.SUMS) - len(stored.sums)),
            stored.maxima + (0,) * (len(counters.MAXIMA) - len(stored.maxima)),
            (np.frombuffer(stored.keys, "<u2"), quantiles.unpack_counts(stored.counts, length)),
            top_k.whole(stored.contributors),
            stored.exemplars,
            scores.whole(stored.scores),
            stored.meaning,
            cells=None if stored.cells is None else cells.unpack_cells(stored.cells),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vitals) and self.pack() == other.pack()

    def __hash__(self) -> int:
        return hash(self.pack())


class _Packed(msgspec.Struct, array_like=True):
    sums: tuple[int, ...]
    maxima: tuple[int, ...]
    keys: bytes
    counts: bytes
    contributors: dict[str, dict[str, tuple[int, ...]]]
    exemplars: top_k.Exemplars
    scores: dict[str, tuple[int, ...]] = {}
    meaning: moments.Meaning = {}
    cells: cells.PackedCells | None = None


_decoder = msgspec.msgpack.Decoder(_Packed)


class _Tools(msgspec.Struct, frozen=True):
    tool: dict[str, tuple[int, ...]] = {}


class _PackedSums(msgspec.Struct, array_like=True):
    sums: tuple[int, ...]
    maxima: msgspec.Raw = msgspec.Raw()
    keys: msgspec.Raw = msgspec.Raw()
    counts: msgspec.Raw = msgspec.Raw()
    contributors: _Tools = _Tools()


_sums_decoder = msgspec.msgpack.Decoder(_PackedSums)


def packed_amount(data: bytes, names: Sequence[str]) -> int:
    """The sum of some of counters.SUMS and TOOL_CALLS in packed vitals; nothing else is unpacked."""
    packed = _sums_decoder.decode(data)
    places = [counters.SUM[name] for name in names if name != TOOL_CALLS]
    amount = sum(packed.sums[place] for place in places if place < len(packed.sums))
    if TOOL_CALLS in names:
        amount += sum(share[0] for share in packed.contributors.tool.values())
    return amount


def merged(parts: Sequence[Vitals], *, with_cells: bool = True) -> Vitals:
    """Merge parts; the identity for none. with_cells: the sum of all arms needs none, and is cheaper so."""
    if len(parts) == 1:
        return parts[0] if with_cells or parts[0].cells is None else replace(parts[0], cells=None)
    return Vitals(
        counters.add_sums(part.sums for part in parts),
        counters.take_maxima(part.maxima for part in parts),
        quantiles.merge_bins([part.bins for part in parts]),
        top_k.merge_contributors(part.contributors for part in parts),
        top_k.merge_exemplars(part.exemplars for part in parts),
        scores.merge_scores(part.scores for part in parts),
        moments.merge_meaning(part.meaning for part in parts),
        cells=cells.merge_cells(part.cells for part in parts) if with_cells else None,
    )
