"""A scorer of texts that fails on demand."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FailingScorer:
    """A `Scorer` of toxicity: 0.9 where "bad" is in a text, else 0.1.

    In the settings: `llmvitals.testing.scorer:FailingScorer`. A text may hold what to do: CRASH (the process
    ends), HANG (forever), RAISE (an error with the text in it), PRINT (the text), NAN, SHAPE (one number too
    many), RANGE (1.5).
    """

    name = "failing"
    gives = "toxicity"

    def __call__(self, texts: Sequence[str], /) -> NDArray[Any]:
        """Score the texts, or do what they say."""
        whole = " ".join(texts)
        if "CRASH" in whole:
            os._exit(3)
        while "HANG" in whole:
            time.sleep(60)
        if "RAISE" in whole:
            raise ValueError(whole)
        if "PRINT" in whole:
            print(whole, flush=True)  # noqa: T201 - that is what is asked for
        found = [
            np.nan if "NAN" in text else 1.5 if "RANGE" in text else 0.9 if "bad" in text else 0.1
            for text in texts
        ]
        return np.array([*found, 0.5] if "SHAPE" in whole else found)


class FailingVectors(FailingScorer):
    """Like FailingScorer, for embeddings: (toxicity, 1)."""

    name = "vectors"
    gives = "embedding"

    def __call__(self, texts: Sequence[str], /) -> NDArray[Any]:
        """Return two numbers for each text."""
        found = super().__call__(texts)
        return np.stack([found, np.ones_like(found)], axis=1)


class FailingJudge(FailingScorer):
    """Like FailingScorer, as a score."""

    name = "judge"
    gives = "score"
