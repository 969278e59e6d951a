"""What few series have beside sums, maxima and bins: contributors, exemplars, scores, embeddings, cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from llmvitals.sketch import cells, moments, scores, top_k

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)  # frozen ones take three times as long to make
class Details:
    """Fields of `Vitals`, which see; never changed once they are made.

    Law: `merged_details` is that of `vitals.merged`.
    """

    contributors: top_k.Contributors = field(default_factory=dict)
    exemplars: top_k.Exemplars = field(default_factory=dict)
    scores: scores.Scores = field(default_factory=dict)
    meaning: moments.Meaning = field(default_factory=dict)
    cells: cells.Cells | None = None

    def __bool__(self) -> bool:
        return bool(
            self.contributors or self.exemplars or self.scores or self.meaning or self.cells is not None
        )

    def pack(self) -> bytes:
        """Pack to canonical msgpack: equal contents give equal bytes."""
        packed = None if self.cells is None else cells.pack_cells(self.cells)
        return _encoder.encode((self.contributors, self.exemplars, self.scores, self.meaning, packed))

    @classmethod
    def unpack(cls, data: DetailsOfRow) -> Details:
        """Unpack what is packed, and merge what is apart. Raises msgspec.DecodeError."""
        if isinstance(data, Details):
            return data
        if isinstance(data, tuple):
            return merged_details([cls.unpack(part) for part in data])
        packed = _decoder.decode(data)
        found = None if packed.cells is None else cells.unpack_cells(packed.cells)
        return cls(packed.contributors, packed.exemplars, packed.scores, packed.meaning, found)

    @classmethod
    def shown(cls, data: DetailsOfRow) -> Details:
        """The same without what no point shows: only contributors and scores."""
        if isinstance(data, Details):
            return cls(data.contributors, scores=data.scores)
        if isinstance(data, tuple):
            found = [part for part in map(cls.shown, data) if part]
            return merged_details(found) if found else cls()
        packed = _point_decoder.decode(data)
        return cls(packed.contributors, scores=packed.scores)


DetailsOfRow: TypeAlias = Details | bytes | tuple[Details | bytes, ...]
"""Packed, and those of rows that were added up apart, until they are read."""


class _Packed(msgspec.Struct, array_like=True):
    contributors: top_k.Contributors
    exemplars: top_k.Exemplars
    scores: scores.Scores
    meaning: moments.Meaning
    cells: cells.PackedCells | None = None


def merged_details(parts: Sequence[Details]) -> Details:
    """Merge parts, one or more."""
    if len(parts) == 1:
        return parts[0]
    return Details(
        top_k.merge_contributors(part.contributors for part in parts),
        top_k.merge_exemplars(part.exemplars for part in parts),
        scores.merge_scores(part.scores for part in parts),
        moments.merge_meaning(part.meaning for part in parts),
        cells.merge_cells(part.cells for part in parts),
    )


class _PointDetails(msgspec.Struct, array_like=True):
    contributors: top_k.Contributors
    exemplars: msgspec.Raw
    scores: scores.Scores


_encoder: Final = msgspec.msgpack.Encoder(order="sorted")
_decoder: Final = msgspec.msgpack.Decoder(_Packed)
_point_decoder: Final = msgspec.msgpack.Decoder(_PointDetails)
