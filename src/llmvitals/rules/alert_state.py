"""The states of an alert in event time (inactive, pending, firing, resolved), and the no-data policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from llmvitals.record.reading import NO_DATA, Reading
from llmvitals.window import DAY, FOREVER, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvitals.record.reading import NoData

Change = Literal["firing", "resolved"]
PATIENCE: Final = DAY
"""After this time with too few calls (µs) the alerts of a series resolve."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """The state machine of a rule's alerts.

    hold (`for`), keep (`keep_firing_for`), pane: µs. grave: levels that an alert keeps until it resolves.
    rising: whether a higher value is always the worse one, as in a budget; else the first value decides.
    updates: whether `update` is used.
    State (plain data): {} inactive; "pending": since when; "since", "changed" (when status or level last
    changed), "at" (of the newest record) and "level" while it fires; "clear": since when it no longer
    breaches; "now": the newest reading with values; "moved": no record has them yet; "peak": the
    worst value since it began.
    """

    pane: int
    hold: int = 0
    keep: int = 0
    grave: frozenset[str] = frozenset()
    rising: bool = False
    updates: bool = True

    def step(self, state: dict[str, Any], reading: Reading) -> Change | None:
        """Apply a reading, and return the change if there is one. Readings come in the order of their times.

        A firing alert returns "firing" again only at a new level; other values that move are returned by
        `update`. After "resolved" the state is kept for the alert's text, and the caller drops it. An episode
        that the detector names (`begin`) resolves at once, without `keep`.
        """
        if "since" in state:
            return self._firing(state, reading)
        if reading.verdict != "breach":
            state.clear()
            return None
        since = state.setdefault("pending", reading.at)
        self._note(state, reading)
        if reading.at - since < self.hold:
            return None
        del state["pending"]
        state.update(since=since, level=reading.level)
        return self._changed(state, reading.at, "firing")

    def update(self, state: dict[str, Any], at: int, *, last: bool = False) -> Reading | None:
        """The newest values of a firing alert at a time (µs), if no record has them.

        Once a minute; last: even if that is not over.
        """
        if "moved" not in state or (at < state["at"] + MINUTE and not last):
            return None
        del state["moved"]
        state["at"] = max(at, state["at"] + 1)
        return newest(state)._replace(at=state["at"])

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at whose end the alert changes without a reading; FOREVER: none."""
        if "pending" in state:
            return _ending(state["pending"] + self.hold, self.pane)
        wakes = _ending(state["clear"] + self.keep, self.pane) if "clear" in state else FOREVER
        return min(wakes, _ending(state["at"] + MINUTE, self.pane)) if "moved" in state else wakes

    def _firing(self, state: dict[str, Any], reading: Reading) -> Change | None:
        moved = self._note(state, reading)
        if reading.verdict in ("clear", "none"):
            keep = 0 if reading.begin else self.keep
            if reading.at - state.setdefault("clear", reading.at) >= keep:
                return self._changed(state, reading.at, "resolved")
        else:
            state.pop("clear", None)
            rose = reading.verdict == "breach" and reading.level != state["level"]
            if rose and state["level"] not in self.grave:
                state["level"] = reading.level
                return self._changed(state, reading.at, "firing")
        if moved and self.updates:
            state["moved"] = True
        return None

    def _changed(self, state: dict[str, Any], at: int, change: Change) -> Change:
        state["changed"] = state["at"] = max(at, state["at"] + 1) if "at" in state else at
        state.pop("moved", None)
        return change

    def _note(self, state: dict[str, Any], reading: Reading) -> bool:
        """Keep the worst value; return whether the reading has values that the newest record has not."""
        counted = reading.level == NO_DATA  # value and limit are numbers of calls
        if reading.verdict == "none" or (counted and reading.verdict != "breach"):
            return False
        last = state.get("alert", {})
        worst, up, of_calls = state.get("peak") or (reading.value, reading.value >= reading.limit, counted)
        if of_calls != counted:
            worst, up = reading.value, reading.value >= reading.limit
        worst = max(worst, reading.value) if up or self.rising else min(worst, reading.value)
        plain = reading._replace(stands=(), beside=None, ends=reading.ends or last.get("ends"))
        state["now"] = msgspec.to_builtins(plain)
        state["peak"] = [worst, up, counted]
        values = (reading.value, reading.limit, worst, reading.outlook, reading.unpriced)
        said = tuple(last.get(name) for name in ("value", "limit", "peak", "outlook", "unpriced"))
        return msgspec.msgpack.encode(values) != msgspec.msgpack.encode(said)


def newest(state: Mapping[str, Any]) -> Reading:
    """The newest reading with values of an alert that fires, as a breach."""
    return msgspec.convert(state["now"], Reading)._replace(verdict="breach", level=state["level"])


def share_spend(states: Iterable[dict[str, Any]], at: int) -> bool:
    """Give the firing alerts of one budget the same spend, as of a time (µs): there is only one.

    Returns whether one of them was sent at this time or is due, so that all are to be sent.
    """
    # An alert that was raised by an open pane is ahead of this time.
    firing = [state for state in states if "since" in state and "now" in state and state["at"] <= at]
    readings = [newest(state) for state in firing]
    for state, reading in zip(firing, readings, strict=True):
        latest = max(readings, key=lambda other: (other.ends == reading.ends, other.at))
        shared = reading._replace(value=latest.value, limit=latest.limit, unpriced=latest.unpriced)
        if shared != reading:
            state["now"], state["moved"] = msgspec.to_builtins(shared), True
            state["peak"][0] = max(state["peak"][0], latest.value)
    return any(state["at"] == at or ("moved" in state and at >= state["at"] + MINUTE) for state in firing)


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
            return [reading._replace(verdict="hold", level=NO_DATA)]
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
