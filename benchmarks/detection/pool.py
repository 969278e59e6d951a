"""All vectors that traffic is made of, embedded once, with the sums' integer images of them.

Rows: every text in WORDINGS wordings (a user who repeats himself seldom does so to the letter), and then the
same again with shrunken spread: mean + SHRINK·(x − mean), whose mean is the known topics' mean to the last
bit of float32. On the sphere no change keeps the mean and shrinks the spread, as E|x − m|² = 1 − |m|² there:
so these vectors are shorter than 1, and every detector gets them as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.sketch.random_features import space

if TYPE_CHECKING:
    from benchmarks.detection.texts import Texts
    from numpy.typing import NDArray

WORDINGS: Final = ("{}", "{} please", "hello, {}")
SHRINK: Final = 0.7
LONGEST: Final = 2_000
"""Characters of a text that are embedded."""


@dataclass(frozen=True, slots=True)
class Pool:
    """vectors: float32. x, z: their images. known: texts of known topics.

    sizes: texts of each of those; new: of each that is held out.

    Row of a text's wording: wording·texts + text; + `shrunk`: the same with shrunken spread.
    """

    vectors: NDArray[np.float32]
    x: NDArray[Any]
    z: NDArray[Any]
    known: int
    new: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def texts(self) -> int:
        """Of either sort."""
        return self.known + int(self.new.sum())

    @property
    def shrunk(self) -> int:
        """What is added to a row's number."""
        return self.texts * len(WORDINGS)


def embed(texts: list[str]) -> NDArray[np.float32]:
    """Vectors of length 1 (n × 256)."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import wordllama  # noqa: PLC0415 an extra: the message says what is missing
    except ImportError as error:
        raise SystemExit("needs wordllama: pip install 'llmvitals[embeddings]'") from error
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    raw = np.asarray(model.embed([text[:LONGEST] for text in texts]), np.float32)
    return raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)


def pool(texts: Texts) -> Pool:
    """Everything traffic may hold."""
    vectors = embed([wording.format(text) for wording in WORDINGS for text in texts.texts])
    count, known = len(texts.texts), len(texts.texts) - int(texts.new.sum())
    mean = np.concatenate([vectors[n * count : n * count + known] for n in range(len(WORDINGS))]).mean(
        axis=0, dtype=np.float64
    )
    vectors = np.concatenate([vectors, (mean + SHRINK * (vectors - mean)).astype(np.float32)])
    x, z, _ = space(vectors.shape[1]).images(vectors)
    return Pool(vectors, x, z, known, texts.new, texts.sizes)
