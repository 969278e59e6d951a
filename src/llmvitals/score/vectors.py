"""Embeddings without a network or a GPU: WordLlama's token vectors, in the package (extra `embeddings`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


class Wordllama:
    """A `Scorer`: the mean of a text's token vectors, 256 numbers; it tells topics apart, not moods."""

    name = "wordllama"
    gives = "embedding"

    def __init__(self) -> None:
        import wordllama  # noqa: PLC0415 - an extra

        folder = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    def __call__(self, texts: Sequence[str], /) -> NDArray[Any]:
        found: NDArray[Any] = self._model.embed(list(texts))
        return found
