"""Collects minutes into parts, and parts into the blocks whose evidence is weighed."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from operator import add
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmvitals.rules.kinds.regression.samples import plus
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.metrics.metric import Side
    from llmvitals.rules.kinds.regression.gauge import Gauge, Tally, Usual
    from llmvitals.rules.kinds.regression.samples import Columns, Sample

SIDES: Final[tuple[Side, Side]] = ("up", "down")
PART: Final = 2 * MINUTE
"""The least length of a part. A storm is cut down within its parts."""
LONGEST: Final = 24
"""Hours after which a block ends in any case."""


class Part(NamedTuple):
    """Some minutes: their beginning and end in µs, and what they held."""

    since: int
    at: int
    sample: Sample

    @property
    def hour(self) -> int:
        """The hour since 1970 in which it ends."""
        return hour_of(self.at)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Parts have at least `few` calls and PART. A block ends with an hour, once it says something.

    State: "part", [its beginning in µs, its sample]; "block": {"hour": its first one, "up", "down": the tally
    of each side}.
    """

    gauge: Gauge
    few: int
    effect: float

    def part(self, state: dict[str, Any], at: int, sample: Sample) -> Part | None:
        """Add the minute that ends at `at` (µs) to the part; returns the part if it is complete."""
        since, before = state.get("part") or (at - MINUTE, None)
        whole = plus(before, sample)
        if at - since < PART or whole[0][0] < self.few:
            state["part"] = [since, whole]
            return None
        state.pop("part", None)
        return Part(since, at, whole)

    def parts(
        self, state: dict[str, Any], ats: Sequence[int], columns: Columns, some: slice
    ) -> Iterator[Part]:
        """Add some minutes to the part, one after the other; gives the parts that are complete."""
        first, end = some.start, some.stop
        since, before = state.pop("part", None) or (ats[first] - MINUTE, None)
        while first < end:
            needed = self.few - before[0][0] if before else self.few
            last = max(columns.completes(first, needed), bisect_left(ats, since + PART, first))
            whole = columns.added(before, first, min(last + 1, end))
            if last >= end:
                state["part"] = [since, whole]
                return
            yield Part(since, ats[last], whole)
            first, before = last + 1, None
            since = ats[first] - MINUTE if first < end else 0

    def ended(self, state: dict[str, Any], hour: int) -> dict[str, Any] | None:
        """The block, if it has ended before the part that ends in this hour."""
        block: dict[str, Any] | None = state.get("block")
        if block is None or block["hour"] >= hour:
            return None
        said = any(self.gauge.enough(block[side]) for side in SIDES)
        if said or hour - block["hour"] >= LONGEST:
            del state["block"]
            return block
        return None

    def tallies(self, part: Part, usual: Usual) -> dict[Side, Tally]:
        """The tally of each side."""
        tally, sample = self.gauge.tally, part.sample
        return {
            "up": tally(sample, usual, "up", self.effect),
            "down": tally(sample, usual, "down", self.effect),
        }

    def add(self, state: dict[str, Any], part: Part, tallies: Mapping[Side, Tally]) -> dict[str, Any]:
        """Add a part with these tallies to the block, and return that."""
        block: dict[str, Any] = state.get("block") or {"hour": part.hour}
        for side, tally in tallies.items():
            block[side] = [*map(add, block.get(side) or [0.0] * len(tally), tally)]
        state["block"] = block
        return block


def hour_of(at: int) -> int:
    """The hour since 1970 that ends with, or contains, the end of a minute (µs)."""
    return (at - 1) // HOUR
