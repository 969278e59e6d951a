"""Profanity: alt-profanity-check, a linear model that is in the package (extra `profanity`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray


class Profanity:
    """A `Scorer`: how likely people would call a text abusive, by its words and in English.

    It gives the score `profanity`, no toxicity: docs/toxicity.md says what it can't tell.
    """

    name = "profanity"
    gives = "score"

    def __init__(self) -> None:
        from profanity_check.profanity_check import model, vectorizer  # noqa: PLC0415 - an extra

        self._model, self._vectorizer = model, vectorizer

    def __call__(self, texts: Sequence[str], /) -> NDArray[Any]:
        # Its own predict_prob calls a Python function for each text.
        found: NDArray[Any] = self._model.predict_proba(self._vectorizer.transform(texts))[:, 1]
        return found
