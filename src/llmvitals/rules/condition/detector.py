"""The logic of a condition for one series, and how it learns a baseline from past calls."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals


class Detector(Protocol):
    """Turns the panes of one series into readings.

    state: plain data that the caller keeps, {} at first. Each pane is passed once, in order; a pane without
    calls is passed only if `wakes` asks for it.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> str:
        """What the state depends on: if it changes, the state starts empty."""

    @abstractmethod
    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane; vitals are what it held, None for a pane without calls."""

    @abstractmethod
    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the next reading may differ without a call; FOREVER: none.

        It is not asked while the state is empty.
        """

    def take_until_breach(
        self, state: dict[str, Any], closed: Sequence[tuple[int, Vitals]]
    ) -> tuple[int, list[Reading]]:
        """Read closed panes of a series without an alert, one or more, up to the first that gives a breach.

        Returns how many were read, and the readings with the breach; [] if there was none. A detector may
        stop earlier. The state is that after `take` of each pane, but for what `wakes` asks for after the
        last one. By default it reads none.
        """
        del state, closed
        return 0, []

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """Read panes that are still open; by default they are ignored."""
        del state, opened
        return []

    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]:
        """The least amounts of open panes with which `peek` may give a reading; below them it is not asked.

        Names of counters.SUMS, or TOOL_CALLS → the amount of them together, over all open panes with late
        calls. {}: it never gives one.
        """
        del state
        return {}

    def settled(self, state: dict[str, Any]) -> range:
        """Panes about which `peek` has nothing more to say: `headroom` counts what is in the others.

        By default none.
        """
        del state
        return range(0)

    def quiet(self, state: dict[str, Any]) -> bool:
        """Whether closed panes, too, give no reading as long as all amounts stay below `headroom`.

        So for panes without late calls, and for time that passes.
        """
        del state
        return False

    def trend(self, state: dict[str, Any], pane: int) -> list[float]:
        """The values up to the end of a pane, oldest first; [] if the detector keeps none."""
        del state, pane
        return []


class Baseline(NamedTuple):
    """A summary of a baseline.

    calls: the number of calls that it was learned from. overdispersion: φ, the variance between minutes
    relative to that of independent calls.
    """

    calls: int
    overdispersion: float


class Training(Protocol):
    """Learns the baseline of one series. States are those of the detector."""

    @property
    def longest(self) -> int:
        """The longest time to learn from, µs."""

    def detector(self, pane: int, minutes: int) -> Detector:
        """A detector that learns from this many minutes with calls; pane: µs."""

    def minutes(self, state: dict[str, Any]) -> int:
        """The minutes with calls that a state has learned from."""

    def fitting(self, minutes: int) -> int:
        """The longest training, in minutes, that these minutes with calls suffice for; 0 for none."""

    def learned(self, state: dict[str, Any]) -> bytes | None:
        """The baseline in a state; None during the training."""

    def describe(self, baseline: bytes) -> Baseline:
        """Summarise a baseline."""
