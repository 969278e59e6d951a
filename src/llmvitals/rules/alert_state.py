"""The life of an alert, in event time: inactive → pending → firing → resolved; what too few calls mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from llmvitals.record.reading import NO_DATA
from llmvitals.window import DAY, FOREVER

if TYPE_CHECKING:
    from llmvitals.record.reading import NoData, Reading

PATIENCE: Final = DAY
"""A series that has had too few calls for so long (µs) is not waited for any more."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """How a rule's alerts live. hold (`for`), keep (`keep_firing_for`) and pane in µs.

    grave: levels that an alert keeps to its end.
    State (plain data): {} inactive · "pending": since when · "since", "at" (the newest change), "level":
    firing, and "clear": since when it is at rest.
    """

    pane: int
    hold: int = 0
    keep: int = 0
    grave: frozenset[str] = frozenset()

    def step(self, state: dict[str, Any], reading: Reading) -> Literal["firing", "resolved"] | None:
        """The change that a reading makes; readings come in the order of their times.

        A firing alert says "firing" again only at a new level. After "resolved" the state is still there
        for the alert's text; the caller drops it. An episode that its detector names ends when that says so.
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
        """The first pane at whose end time alone makes a change; FOREVER when it makes none."""
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
    """What a rule makes of too few calls, its `no_data`; pane in µs.

    Only of a series that had enough of them before, so that little traffic pages nobody; and of one that has
    had too few for a day (PATIENCE) nothing is kept up: what was firing ends and says so.
    State (plain data): "known": it had enough · "since": it has too few since then, µs.
    """

    mode: NoData
    pane: int

    def read(self, state: dict[str, Any], reading: Reading) -> list[Reading]:
        """The readings that take the place of one."""
        if reading.verdict != "none":
            return [reading, *self._back(state, reading)]
        if self.mode == "ok" or (self.mode in ("alert", "no_data") and not state):
            return [reading]
        since = state.setdefault("since", reading.at)
        own = reading._replace(begin=f"no-data-{since}")
        if reading.at - since >= PATIENCE:
            state.clear()
            over = "too few calls for a day: not waited for any longer"
            ends = [own._replace(note=over)] if self.mode == "no_data" else []
            return [reading._replace(note=over), *ends]
        if self.mode == "keep":
            return [reading._replace(verdict="hold")]
        if self.mode == "alert":
            return [reading._replace(verdict="breach", level=NO_DATA)]
        return [reading, own._replace(verdict="breach", level=NO_DATA)]

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f" {self.mode}" if self.mode in ("alert", "no_data") else ""

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at whose end a series is not waited for any more; FOREVER: none is waited for."""
        return _ending(state["since"] + PATIENCE, self.pane) if "since" in state else FOREVER

    def _back(self, state: dict[str, Any], reading: Reading) -> list[Reading]:
        """There are enough calls, again: what ends thereby."""
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
