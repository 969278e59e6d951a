"""The life of an alert: inactive → pending → firing → resolved, in event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from llmvitals.alert.rule import NoData
    from llmvitals.record.reading import Reading


@dataclass(frozen=True, slots=True)
class Life:
    """How a rule's alerts live. hold (`for`), keep (`keep_firing_for`) and pane in µs.

    State (plain data): {} inactive · "pending": since when · "since", "at" (the newest change), "level":
    firing, and "clear": since when it is at rest.
    """

    pane: int
    hold: int = 0
    keep: int = 0
    no_data: NoData = "ok"

    def step(self, state: dict[str, Any], reading: Reading) -> Literal["firing", "resolved"] | None:
        """The change that a reading makes; readings come in the order of their times.

        A firing alert says "firing" again only at a new level. After "resolved" the state is still there
        for the alert's text; the caller drops it.
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
            return self._pane(state["pending"] + self.hold)
        return self._pane(state["clear"] + self.keep) if "clear" in state else FOREVER

    def _pane(self, time: int) -> int:
        return -(-time // self.pane) - 1

    def _firing(self, state: dict[str, Any], reading: Reading) -> Literal["firing", "resolved"] | None:
        verdict = reading.verdict
        if verdict == "none":
            verdict = "clear" if self.no_data == "ok" else "hold"
        if verdict == "clear":
            if reading.at - state.setdefault("clear", reading.at) < self.keep:
                return None
            state["at"] = max(reading.at, state["at"] + 1)
            return "resolved"
        state.pop("clear", None)
        if verdict == "hold" or reading.level == state["level"]:
            return None
        state.update(at=max(reading.at, state["at"] + 1), level=reading.level)
        return "firing"
