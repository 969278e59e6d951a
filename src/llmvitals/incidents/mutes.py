"""Why alerts are not sent: silences, inhibition by other alerts, mute times of their route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from llmvitals.record.notification import Muted
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmvitals.record.alert import Alert
    from llmvitals.record.incident import Case
    from llmvitals.record.user_action import Silence
    from llmvitals.routing import Routing


class Mutes:
    """Everything that mutes. lasts: whether the incident of this id is not over yet.

    changed: something has changed that may mute or unmute any alert; whoever has looked sets it back. As in
    Alertmanager a silenced alert still mutes others.
    """

    def __init__(self, routing: Routing, lasts: Callable[[str], bool]) -> None:
        self.silences: dict[str, Silence] = {}
        self.changed = True
        self._routing, self._lasts = routing, lasts
        self._sources: list[dict[tuple[str, ...], dict[str, Alert]]] = [{} for _ in routing.inhibitions]

    def hear(self, silence: Silence) -> None:
        """Take in a silence that was made, changed or ended."""
        self.silences[silence.id] = silence
        self.changed = True

    def forget(self, silence: str) -> None:
        """Forget the silence of this id."""
        self.silences.pop(silence, None)
        self.changed = True

    def ended(self, incident: str, now: int) -> list[Silence]:
        """End the silences that are bound to this incident, if it is over; return them."""
        if self._lasts(incident):
            return []
        bound = [s for s in self.silences.values() if s.incident == incident and s.ends > now]
        ended = [replace(silence, ends=max(now, silence.starts)) for silence in bound]
        for silence in ended:
            self.hear(silence)
        return ended

    def override(self, marks: Mapping[str, str], now: int) -> Silence | None:
        """Return the override that lifts a block of alerts with these marks now."""
        overrides = (
            s for s in self.silences.values() if s.kind == "override" and self._covers(s, marks, now)
        )
        return next(overrides, None)

    def source(self, case: Case) -> None:
        """Take in a changed alert, which may mute or unmute others. One too old to be sent mutes none."""
        alert = case.alert
        for inhibition, sources in zip(self._routing.inhibitions, self._sources, strict=True):
            if not all(matcher.matches(alert.marks) for matcher in inhibition.source):
                continue
            alike = sources.setdefault(_values(alert, inhibition.equal), {})
            fires = case.firing and case.fresh
            self.changed |= fires != (case.id in alike)
            if fires:
                alike[case.id] = alert
            else:
                alike.pop(case.id, None)

    @property
    def idle(self) -> bool:
        """Whether there is nothing that could mute anything."""
        return not (self.silences or self._routing.inhibitions or self._routing.mute_times)

    def why(self, alert: Alert, now: int) -> Muted | None:
        """Return what mutes the alert now (µs), None when nothing does."""
        marks = alert.marks
        for silence in self.silences.values():
            if self._covers(silence, marks, now):
                if silence.incident:
                    return Muted(f"silenced by {silence.by} until it is over", by=silence.by)
                lifted = f": {silence.comment}" if silence.kind == "override" and silence.comment else ""
                return Muted(f"silenced by {silence.by}{lifted}", silence.ends, silence.by)
        if (name := self._routing.muted(self._routing.route(marks), now)) is not None:
            return Muted(f"muted: {name}")
        for inhibition, sources in zip(self._routing.inhibitions, self._sources, strict=True):
            for source in sources.get(_values(alert, inhibition.equal), {}).values():
                if inhibition.mutes(source.marks, marks):
                    values = ", ".join(filter(None, _values(alert, inhibition.equal)))
                    return Muted(f"{source.rule} fires" + (f" for {values}" if values else ""))
        return None

    def until(self, now: int) -> int:
        """Return the next time (µs) at which a silence begins or ends."""
        times = (time for silence in self.silences.values() for time in (silence.starts, silence.ends))
        return min((time for time in times if time > now), default=FOREVER)

    def _covers(self, silence: Silence, marks: Mapping[str, str], now: int) -> bool:
        return silence.covers(marks, now) and (not silence.incident or self._lasts(silence.incident))

    def times(self, now: int) -> frozenset[str]:
        """Return the names of the mute times that hold now."""
        return frozenset(name for name, time in self._routing.mute_times.items() if time.active(now))


def _values(alert: Alert, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(alert.marks.get(name, "") for name in names)
