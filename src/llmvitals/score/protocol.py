"""What a scorer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

Gives = Literal["toxicity", "embedding", "score"]


class Scorer(Protocol):
    """Texts → numbers; made without arguments, once, in a process that does nothing else.

    name: at most 64 characters; what a score, or a vector's model, is called. gives: what the numbers are.

    An entry point of the group `llmvitals.scorers` names the class, or the setting does, as
    `package.module:Class`. It may hang or raise: it is given up on after the setting's timeout, its process
    is ended and begun anew, and what it did not score is counted as unscored. What it prints is thrown away,
    and of what it raises only the type is told, as texts may be in both.
    """

    name: str
    gives: Gives

    def __call__(self, texts: Sequence[str], /) -> NDArray[Any]:
        """N texts, one at least → (n,) in [0, 1] for toxicity and scores, (n, d) for embeddings; finite."""
