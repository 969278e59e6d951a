"""What T² is in ordinary minutes, by minutes that the reference was not made of: cap, scale and limit."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.detect import gumbel
from llmvitals.detect.axes import Floats
from llmvitals.detect.hotelling import remember, roots

_NORMAL: Final = 2.0
"""The scale of squares of normal values, far out: no less is believed of a few blocks."""


class Yardstick(msgspec.Struct, frozen=True, array_like=True):
    """Of one head. cap: see hotelling.remember. means, deviations: of each span's cube root of T².

    location, scale: of the Gumbel distribution of the squares of blocks' maxima, which are counted in
    deviations: squares of what is nearly normal have the tail that it is made for (Cook, "Towards better
    estimation of extreme winds", 1982). blocks: how many it was fitted to; minutes: of a block.
    """

    cap: float
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    location: float
    scale: float
    blocks: int
    minutes: int

    def limit(self, run: float) -> float:
        """In deviations: what is passed once in `run` minutes, and one standard error of the fit."""
        blocks, scale = max(run / self.minutes, 2.0), max(self.scale, _NORMAL)
        passed = gumbel.level(self.location, scale, blocks) + gumbel.doubt(scale, self.blocks, blocks)
        return float(np.sqrt(max(passed, 1.0)))

    def read(self, found: NDArray[np.float64]) -> tuple[float, int]:
        """The greatest deviation among the spans, and the place of its span."""
        apart = (found - self.means) / self.deviations
        most = int(apart.argmax())
        return float(apart[most]), most


def capped(radii: list[float]) -> float:
    """The cap: the median radius of ordinary minutes, so that what counts is where they point, together."""
    return float(np.median(radii))


def record(state: dict[str, Any], calls: int, white: Floats, reference: int) -> None:
    """Add an ordinary minute.

    State: "cap"; then "memory"; "count", "sum" and "squares" of each span's roots; "block": the greatest in
    the block now; "blocks": those of blocks before.
    """
    memory = state.setdefault("memory", {})
    remember(memory, calls, white, state["cap"])
    found = roots(memory, reference)
    state["count"] = state.get("count", 0) + 1
    state["sum"] = (found + state.get("sum", 0.0)).tolist()
    state["squares"] = (found**2 + state.get("squares", 0.0)).tolist()
    state["block"] = np.maximum(found, state.get("block", 0.0)).tolist()


def close(state: dict[str, Any]) -> None:
    """A block is over."""
    state.setdefault("blocks", []).append(state.pop("block"))


def yardstick(state: dict[str, Any], minutes: int) -> Yardstick:
    """By all that was recorded; minutes: of a block."""
    means = np.array(state["sum"]) / state["count"]
    deviations = np.sqrt(np.maximum(np.array(state["squares"]) / state["count"] - means**2, 1e-9))
    maxima = ((np.array(state["blocks"]) - means) / deviations).max(axis=1)
    location, scale = gumbel.fitted(np.maximum(maxima, 0) ** 2)
    kept = tuple(means.tolist()), tuple(deviations.tolist())
    return Yardstick(state["cap"], *kept, location, scale, len(maxima), minutes)
