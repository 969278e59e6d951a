"""Projects where the spend of a period will end if it goes on as fast as now, but not for ever.

A window's spend alone says little: each morning is faster than the night, and a nightly batch uses up its day
in an hour. So only what exceeds the usual peak is taken for a burn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmvitals.rules.kinds.budget.peaks import Peaks
from llmvitals.rules.kinds.budget.projection import projection
from llmvitals.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.kinds.budget.burn_windows import WindowPair
    from llmvitals.rules.kinds.budget.thresholds import Balance, Thresholds

GOES_ON: Final = 5
"""A burn is projected to go on for this part of the period: a fifth."""
ALONE: Final = 10
"""Without a day to compare with, only a rate that uses up the limit in a tenth of the period is a burn …"""
STEADY: Final = 3
"""… and one whose spend is in so many buckets of the window, since a single call is no rate …"""
LARGE: Final = 20
"""… or is a twentieth of the limit: more than an hourly call of a day, or a daily one of a month."""
WEEK: Final = 7
"""With fewer days to compare with, the days off may be unknown …"""
OFFICE: Final = 5
"""… and this multiple of an even spend may be usual: that of office hours."""

PEAKS: Final = Peaks()


class Course(NamedTuple):
    """The spend at the end of the period: what to expect, and what is at least to be expected."""

    expected: int
    least: int


@dataclass(frozen=True, slots=True)
class BurnProjection:
    """Projects one budget. period: the length (µs) over which an even spend uses up the limit; pane: µs.

    State: that of Peaks; "rest", [hour, end of the period, spend expected after that hour, its least].
    """

    thresholds: Thresholds
    period: int
    pane: int

    def course(
        self, state: dict[str, Any], pair: WindowPair, balance: Balance, hours: Sequence[int]
    ) -> Course:
        """Project a pair's long window to the end of the period; a rolling budget to a fifth of it.

        The usual spend of the hours to come is that of the forecast's model, and `least` has the low end of
        its interval. The burn is added: what the window holds above the usual peak, for a fifth of the
        period.
        """
        bucket = pair.panes * self.pane
        newest = state[pair.key][0] * bucket
        # From the begin of the bucket, so that it cannot fall before the bucket is over.
        left = self.period // GOES_ON
        if balance.ends is not None:
            left = min(left, max(balance.ends - newest, 0))
        burn = self._burn(state, pair, newest) * left // (pair.long * bucket)
        mean, least = self._rest(state, balance, hours)
        return Course(balance.spent + mean + burn, balance.spent + least + burn)

    def _burn(self, state: dict[str, Any], pair: WindowPair, newest: int) -> int:
        """What a long window holds above its usual peak."""
        total: int = state[pair.key][1]
        bucket = pair.panes * self.pane
        length = pair.long * bucket
        days, usual = PEAKS.usual(state, pair.key, newest + bucket - length)
        if not days:
            alone = total * self.period >= ALONE * self.thresholds.limit * length
            spread = sum(map(bool, state[pair.key][2]))
            steady = spread >= min(STEADY, pair.long) or total * LARGE >= self.thresholds.limit
            return total if alone and steady else 0
        if days < WEEK:
            usual = max(usual, OFFICE * self.thresholds.limit * length // self.period)
        return max(total - usual, 0)

    def _rest(self, state: dict[str, Any], balance: Balance, hours: Sequence[int]) -> tuple[int, int]:
        """The usual spend after the hour under way, and its least; kept until the hour is over."""
        if balance.ends is None:
            return 0, 0
        hour = (balance.at - 1) // HOUR
        if state.get("rest", ())[:2] != [hour, balance.ends]:
            found = projection(hours, max(balance.ends - hour * HOUR, 0) / HOUR, skip=True)
            sums = (found.rest, found.interval()[0]) if found else (0, 0)
            state["rest"] = [hour, balance.ends, *(int(value) for value in sums)]
        mean, least = state["rest"][2:]
        return mean, least
