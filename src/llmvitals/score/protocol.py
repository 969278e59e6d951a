"""The protocol of scorers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from numpy.typing import ArrayLike

Gives = Literal["toxicity", "embedding", "score"]


@runtime_checkable
class Scorer(Protocol):
    """Turns texts into numbers; made without arguments, once, in a process that does nothing else.

    name: at most 64 characters: the name of the score, or of the model of the vectors. gives: what the
    numbers are.

    An entry point of the group `llmvitals.scorers` names the class, or the setting does, as
    `package.module:Class`. A scorer may hang or raise: after the setting's timeout its process is killed and
    started again, and the texts that it did not score are counted as unscored. What it prints is discarded,
    and only the type of what it raises is logged, since both may hold texts.
    """

    name: str
    gives: Gives

    def __call__(self, texts: Sequence[str], /) -> ArrayLike:
        """N texts, at least one → (n,) in [0, 1] for toxicity and scores, (n, d) for embeddings; finite."""
