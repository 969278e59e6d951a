"""What few series have beside sums, maxima and bins: contributors, exemplars, scores, embeddings, cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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
    def unpack(cls, data: bytes | Details) -> Details:
        """Unpack what is packed. Raises msgspec.DecodeError."""
        if isinstance(data, Details):
            return data
        packed = _decoder.decode(data)
        found = None if packed.cells is None else cells.unpack_cells(packed.cells)
        return cls(packed.contributors, packed.exemplars, packed.scores, packed.meaning, found)


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


_encoder: Final = msgspec.msgpack.Encoder(order="sorted")
_decoder: Final = msgspec.msgpack.Decoder(_Packed)
