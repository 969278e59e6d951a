"""Where alerts go and which are muted: the `notify:` section of the rules, in Alertmanager's terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from llmvitals.record.matcher import Matcher, all_match
from llmvitals.window import HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

EACH: Final = "..."
"""In `group_by`: every alert is a group of its own, as in Alertmanager."""


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of the alerts that match all matchers. Durations in µs.

    channel: "" for the default one; a rule's own `notify` goes before it. group_by: labels whose values make
    a group ("rule" and "severity" are labels too, EACH: all); None: by rule, a budget by its series too.
    wait: before a group's first message; interval: between further news of it; repeat: until an
    alert that still fires is repeated (the message is edited only). mute: names of mute times. thread:
    whether the message's thread hears what changes. mention: who is mentioned in the first message: ids of
    users and of user groups, "<!here>", "<!channel>". place: its file
    and line, "" for one that nobody has written.
    """

    matchers: tuple[Matcher, ...] = ()
    channel: str = ""
    group_by: tuple[str, ...] | None = None
    wait: int = 0
    interval: int = 5 * MINUTE
    repeat: int = 4 * HOUR
    mute: tuple[str, ...] = ()
    thread: bool = True
    mention: tuple[str, ...] = ()
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an alert matches `source`, those that match `target` with the same `equal` labels are muted.

    place: its file and line.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()
    place: str = field(default="", compare=False)

    def mutes(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        """Whether an alert with the one marks mutes one with the others; never itself."""
        return (
            source != target
            and all_match(self.source, source)
            and all_match(self.target, target)
            and not (all_match(self.target, source) and all_match(self.source, target))
            and all(source.get(name, "") == target.get(name, "") for name in self.equal)
        )


@dataclass(frozen=True, slots=True)
class MuteTime:
    """Recurring times in which nothing is sent.

    weekdays: 0 Monday … 6 Sunday, empty for every day. spans: (begin, end) in minutes of the day, end
    exclusive; empty: the whole day. A span whose end is not after its begin lasts into the next day, and
    belongs to the day on which it begins.
    """

    name: str
    weekdays: frozenset[int] = frozenset()
    spans: tuple[tuple[int, int], ...] = ()
    zone: tzinfo = UTC

    def active(self, now: int) -> bool:
        """Whether it is such a time (µs since 1970)."""
        local = datetime.fromtimestamp(now / SECOND, self.zone)
        minute, today = local.hour * 60 + local.minute, local.weekday()
        for begin, end in self.spans or ((0, 24 * 60),):
            overnight = end <= begin
            if self._on(today) and begin <= minute and (overnight or minute < end):
                return True
            if overnight and minute < end and self._on((today - 1) % 7):
                return True
        return False

    def _on(self, weekday: int) -> bool:
        return not self.weekdays or weekday in self.weekdays


@dataclass(frozen=True, slots=True)
class Routing:
    """All of it. routes: the first that matches; where none does, Route()."""

    routes: tuple[Route, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    mute_times: Mapping[str, MuteTime] = field(default_factory=dict)

    def route(self, marks: Mapping[str, str]) -> Route:
        """The way of an alert with these marks (`Alert.marks`)."""
        return next((route for route in self.routes if all_match(route.matchers, marks)), Route())

    def muted(self, route: Route, now: int) -> str | None:
        """The name of the mute time that holds the route's alerts back now, if one does."""
        return next((name for name in route.mute if self.mute_times[name].active(now)), None)
