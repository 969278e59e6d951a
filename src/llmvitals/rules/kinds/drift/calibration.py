"""The calibration of T² on ordinary minutes that the reference was not made of: cap, scale and limits."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.stats import gumbel
from llmvitals.stats.axes import Floats
from llmvitals.stats.hotelling import SPANS, opened, packed, remember, roots

_OFTEN: Final = 8
"""The number of times that a span has to fit into the recorded minutes."""
_SURE: Final = 2.0
"""Standard errors of the fit that are added to a limit, because a day allows little inference on years."""
_ALONE: Final = 0.9
"""The share of its limit that a single minute may reach."""
_NORMAL: Final = 2.0
"""The least scale: that of squared normal values in the tail. Few blocks cannot show a smaller one."""
LEAST: Final = 0.5
BORROWED: Final = 1.1
"""What widens the limit of a span that was too long to be measured, at least."""


class Calibration(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """Of one head. cap: see hotelling.remember.

    means, deviations: of each span's cube root of T²; of the first spans only, where little was recorded.
    locations, scales: of each span's own Gumbel distribution of the squares of blocks' maxima, which are
    counted in deviations: squares of what is nearly normal have the tail that it is made for (Cook, "Towards
    better estimation of extreme winds", 1982). A burst is extreme in short spans but not in long ones, so one
    limit for all would be too high for long spans. blocks: the number fitted. minutes: of a block.
    step: minutes of a step. Spans without location and scale were too long to be measured: they have the
    greater limit of the last two that were, times `borrowed`.
    """

    cap: float
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    locations: tuple[float, ...]
    scales: tuple[float, ...]
    blocks: int
    minutes: int
    step: float = 1.0
    borrowed: float = BORROWED

    def limits(self, run: float) -> NDArray[np.float64]:
        """The limit of each span, in deviations; any of them is exceeded once in `run` minutes."""
        return _limits(self, run)

    def lowered(self, limits: NDArray[np.float64]) -> float:
        """The cap, or a lower one with which no single minute exceeds a limit, while two in a row may."""
        return min(self.cap, self.means[0] + _ALONE * self.deviations[0] * float(limits[0]))

    def read(self, found: NDArray[np.float64], limits: NDArray[np.float64]) -> tuple[float, int]:
        """The greatest share of its limit that a span has reached, and the place of the span."""
        means, deviations = self._usual
        apart = (found[: len(means)] - means) / deviations / limits
        most = int(apart.argmax())
        return float(apart[most]), most

    @cached_property
    def _usual(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.means), np.array(self.deviations)


@lru_cache(maxsize=1_024)
def _limits(found: Calibration, run: float) -> NDArray[np.float64]:
    """See Calibration.limits; asked at every step, and the same each time."""
    blocks = max(run * len(found.means) / found.minutes, 2.0)
    scales, spans = np.maximum(found.scales, _NORMAL), np.array(SPANS[: len(found.scales)])
    # The memory of a span is longer than the span, so neighbouring blocks are not independent.
    apart = found.blocks * found.minutes / np.maximum(found.minutes, 2 * found.step * spans)
    levels = gumbel.level(np.array(found.locations), scales, blocks)
    passed = levels + _SURE * gumbel.doubt(scales, apart, blocks)
    limits = np.sqrt(np.maximum(passed, 1.0))
    borrowed = len(found.means) - len(limits)
    limits = np.concatenate([limits, np.repeat(limits[-2:].max() * found.borrowed, borrowed)])
    limits.flags.writeable = False
    return limits


def wider(overdispersion: float) -> float:
    """What widens a limit that does not show how few groups the calls come in; 1 if they are independent.

    T² grows with the overdispersion, and its cube root is what is limited. Where calls come in few groups,
    such as sessions, long spans are further from usual than short ones, and sums of random features have
    heavier tails than the hours show that limits rest on.
    """
    return float(np.cbrt(max(overdispersion, 1.0)))


def capped(radii: list[float]) -> float:
    """The cap: the median radius of ordinary minutes, so that only a common direction of minutes adds up.

    At least LEAST, because a cap of 0, of minutes that are all the same, would hide every change.
    """
    return max(float(np.median(radii)), LEAST)


def record(state: dict[str, Any], calls: float, white: Floats, reference: int) -> None:
    """Add an ordinary minute. State: "cap"; then "memory", see hotelling, and that of add_roots."""
    memory = opened(state.setdefault("memory", {}))
    remember(memory, calls, white, state["cap"])
    state["memory"] = packed(memory)
    add_roots(state, roots(memory, reference))


def add_roots(state: dict[str, Any], found: NDArray[np.float64]) -> None:
    """Add the roots of an ordinary minute.

    State: "count", "sum" and "squares" of each span's roots; "block": the greatest in the block now;
    "blocks": those of blocks before.
    """
    state["count"] = state.get("count", 0) + 1
    state["sum"] = (found + state.get("sum", 0.0)).tolist()
    state["squares"] = (found**2 + state.get("squares", 0.0)).tolist()
    state["block"] = np.maximum(found, state.get("block", 0.0)).tolist()


def close(state: dict[str, Any]) -> None:
    """Close a block."""
    state.setdefault("blocks", []).append(state.pop("block"))


def fitted(state: dict[str, Any], minutes: int, step: float, *, borrow: float = 0.0) -> Calibration:
    """The calibration by all recorded minutes; minutes: of a block; step: minutes of a step.

    borrow: what widens the limits of spans that are too long to be measured. With 0 they are left out.
    """
    spans = max(sum(span * _OFTEN <= state["count"] for span in SPANS), 1)
    means, squares = (np.array(state[name][:spans]) / state["count"] for name in ("sum", "squares"))
    deviations = np.sqrt(np.maximum(squares - means**2, 1e-9))
    maxima = np.maximum((np.array(state["blocks"])[:, :spans] - means) / deviations, 0) ** 2
    fits = [gumbel.fitted(column) for column in maxima.T]
    locations, scales = zip(*fits, strict=True)
    more = len(SPANS) - spans if borrow else 0
    return Calibration(
        state["cap"],
        (*means.tolist(), *[float(means[-1])] * more),
        (*deviations.tolist(), *[float(deviations[-2:].max())] * more),
        locations,
        scales,
        len(maxima),
        minutes,
        step,
        borrow,
    )
