"""The states of an alert in event time (inactive, pending, firing, resolved), and the no-data policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from llmvitals.record.reading import NO_DATA
from llmvitals.window import DAY, FOREVER

if TYPE_CHECKING:
    from llmvitals.record.reading import NoData, Reading

PATIENCE: Final = DAY
"""After this time with too few calls (µs) the alerts of a series resolve."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """The state machine of a rule's alerts.

    hold (`for`), keep (`keep_firing_for`), pane: µs. grave: levels that an alert keeps until it resolves.
    State (plain data): {} inactive; "pending": since when; "since", "at" (the newest change) and "level"
    while it fires, and "clear": since when it no longer breaches.
    """

    pane: int
    hold: int = 0
    keep: int = 0
    grave: frozenset[str] = frozenset()

    def step(self, state: dict[str, Any], reading: Reading) -> Literal["firing", "resolved"] | None:
        """Apply a reading, and return the change if there is one. Readings come in the order of their times.

        A firing alert returns "firing" again only at a new level. After "resolved" the state is kept for the
        alert's text, and the caller drops it. An episode that the detector names (`begin`) resolves at once,
        without `keep`.
        """
        if "since" in state:
            return self._firing(state, reading)
        if reading.verdict != "breach":
            state.clear()
            return None
        since = state.setdefault("pending", reading.at)
        if reading.at - since < self.hold:
            return None
        del state["pending"]
        state.update(since=since, at=reading.at, level=reading.level)
        return "firing"

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at whose end the alert changes without a reading; FOREVER: none."""
        if "pending" in state:
            return _ending(state["pending"] + self.hold, self.pane)
        return _ending(state["clear"] + self.keep, self.pane) if "clear" in state else FOREVER

    def _firing(self, state: dict[str, Any], reading: Reading) -> Literal["firing", "resolved"] | None:
        if reading.verdict in ("clear", "none"):
            keep = 0 if reading.begin else self.keep
            if reading.at - state.setdefault("clear", reading.at) < keep:
                return None
            state["at"] = max(reading.at, state["at"] + 1)
            return "resolved"
        state.pop("clear", None)
        if reading.verdict == "hold" or reading.level == state["level"] or state["level"] in self.grave:
            return None
        state.update(at=max(reading.at, state["at"] + 1), level=reading.level)
        return "firing"


@dataclass(frozen=True, slots=True)
class NoDataPolicy:
    """What a rule does with too few calls, its `no_data`; pane: µs.

    It applies only to series that had enough calls before, so that low traffic pages nobody. After PATIENCE
    with too few calls the alerts resolve with a note.
    State (plain data): "known": it had enough calls; "since": since when it has too few, µs.
    """

    mode: NoData
    pane: int

    def read(self, state: dict[str, Any], reading: Reading) -> list[Reading]:
        """The readings that replace a reading of the detector."""
        if reading.verdict != "none":
            return [reading, *self._back(state, reading)]
        if self.mode == "ok" or (self.mode in ("alert", "no_data") and not state):
            return [reading]
        since = state.setdefault("since", reading.at)
        own = reading._replace(begin=f"no-data-{since}")
        if reading.at - since >= PATIENCE:
            state.clear()
            note = "too few calls for a day; no longer waiting"
            ends = [own._replace(note=note)] if self.mode == "no_data" else []
            return [reading._replace(note=note), *ends]
        if self.mode == "keep":
            return [reading._replace(verdict="hold")]
        if self.mode == "alert":
            return [reading._replace(verdict="breach", level=NO_DATA)]
        return [reading, own._replace(verdict="breach", level=NO_DATA)]

    @property
    def shape(self) -> str:
        """What the state depends on: if it changes, the state starts empty."""
        return f" {self.mode}" if self.mode in ("alert", "no_data") else ""

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at whose end PATIENCE is over; FOREVER: there are enough calls."""
        return _ending(state["since"] + PATIENCE, self.pane) if "since" in state else FOREVER

    def _back(self, state: dict[str, Any], reading: Reading) -> list[Reading]:
        """Resolve the alert about too few calls, because there are enough again."""
        since = state.pop("since", None)
        if self.mode in ("alert", "no_data"):
            state["known"] = True
        if since is None or self.mode != "no_data":
            return []
        return [
            reading._replace(verdict="none", begin=f"no-data-{since}", note="there are enough calls again")
        ]


def _ending(time: int, pane: int) -> int:
    """The first pane that ends at this time or after it."""
    return -(-time // pane) - 1
