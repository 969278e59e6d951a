"""The plan of the merge stage: its views, rules and limits."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from llmvitals.record.alert import Alert
from llmvitals.record.point import Point
from llmvitals.record.series import shard_of
from llmvitals.record.view import COUNTLESS, OTHER, View
from llmvitals.record.vitals import Vitals
from llmvitals.window import FOREVER

Panes = list[tuple[int, Vitals]]
"""(pane, its vitals), panes ascending."""


class Rules(Protocol):
    """The interface of the rule engine that merge uses."""

    def reads(self, view: str) -> bool:
        """Whether any rule reads this view."""

    def adopt(self, view: str, state: dict[str, Any], rule: str, memory: bytes | None) -> bool:
        """Replace a rule's memory of a series (see record.frame); whether it was possible."""

    def due(self, state: dict[str, Any]) -> int:
        """The floor at which a series has to be evaluated even if no pane of it closes; FOREVER: none."""

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        """Resolve the alerts in the state of a series that no rule reads any more."""

    def headroom(
        self, view: str, series: tuple[str, ...], state: Mapping[str, Any]
    ) -> tuple[dict[tuple[str, ...], int], range]:
        """The least amounts of open panes, all together, with which they have to be passed to `advance`.

        Names of sums (see vitals.packed_amount) → their amount, without that of the panes in the range. It
        holds as long as state["rules"] is the same object. {}: open panes change nothing.
        """

    def quiet(self, view: str, series: tuple[str, ...], state: Mapping[str, Any]) -> bool:
        """Whether `advance` returns nothing as long as all amounts stay below `headroom`.

        So for closed panes without late calls. It holds as long as `headroom` does.
        """

    def absorb(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], *, floor: int, closed: Panes
    ) -> None:
        """Do to the state of a quiet series what `advance`, which returns nothing, does with closed panes."""

    def finish(self, view: str, series: tuple[str, ...], state: dict[str, Any], floor: int) -> list[Alert]:
        """Return what is due for a series because the log ends at the floor."""

    def advance(  # noqa: PLR0913 - who, up to when, with what
        self,
        view: str,
        series: tuple[str, ...],
        state: dict[str, Any],
        *,
        floor: int,
        closed: Sequence[tuple[int, Vitals]],
        opened: Sequence[tuple[int, Vitals]],
        family: int,
    ) -> list[Alert | Point]:
        """Evaluate the rules on one series. Returns changed alerts, and points.

        series: without its arm where the view is split (see View); its panes then have `arms` (see Vitals).
        state: of the rules for this series, {} at first, changed in place. It must survive msgpack (a tuple
        comes back as a list); an empty one is dropped. floor: every pane below it is closed. closed: the
        panes that closed since the last call. opened: all open panes of an eager view, as far as they are
        counted; none while more panes are about to close. family: the series that share the promises of the
        rules: the live ones of the view on this shard, times the shards. The same frames give the same
        calls, however they are batched. Many panes close in several calls: the result must not depend on how
        they are split.
        """


class NoRules:
    """A rule engine without rules."""

    def reads(self, view: str) -> bool:
        del view
        return False

    def adopt(self, view: str, state: dict[str, Any], rule: str, memory: bytes | None) -> bool:
        del view, state, rule, memory
        return False

    def due(self, state: dict[str, Any]) -> int:
        del state
        return FOREVER

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        del state, floor
        return []

    def headroom(
        self, view: str, series: tuple[str, ...], state: Mapping[str, Any]
    ) -> tuple[dict[tuple[str, ...], int], range]:
        del view, series, state
        return {}, range(0)

    def quiet(self, view: str, series: tuple[str, ...], state: Mapping[str, Any]) -> bool:
        del view, series, state
        return False

    def absorb(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], *, floor: int, closed: Panes
    ) -> None:
        """Nothing."""
        del view, series, state, floor, closed

    def finish(self, view: str, series: tuple[str, ...], state: dict[str, Any], floor: int) -> list[Alert]:
        """Nothing."""
        del view, series, state, floor
        return []

    def advance(self, *step: object, **panes: object) -> list[Alert | Point]:
        del step, panes
        return []


class Limits(NamedTuple):
    """How many names a view may have at a time, over all shards.

    series: of a view that is stored, or whose rules write points. watched: of a view by session or user that
    only rules read.
    """

    series: int = 20_000
    watched: int = 200_000

    def of(self, view: View) -> int:
        """The limit of a view."""
        return self.watched if not view.stored and COUNTLESS.intersection(view.by) else self.series


@dataclass(frozen=True, slots=True)
class MergePlan:
    """The settings of a shard of merge.

    pane_us: length of a pane, µs, a divisor of a minute. views: by name. contributors: how many a point
    shows; windows keep SPARE times as many. engine: evaluates the rules. buckets: the number of parts of the
    state, which are checkpointed one by one. rounds: every changed bucket is written within so many
    snapshots. inputs: topics to wait for; empty: all that frames name. limits: of series in views. shards:
    how many share the limits. shard: the number of this one. windows: those that are written. Of "days" only
    the counters and bins are, and not before the day is over; nothing of it is in a checkpoint.
    """

    pane_us: int
    views: dict[str, View]
    contributors: int = 10
    engine: Rules = field(default_factory=NoRules)
    buckets: int = 32
    rounds: int = 60
    inputs: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    shards: int = 1
    shard: int = 0
    windows: Literal["all", "days", "none"] = "all"

    def wants(self, view: str, series: tuple[str, ...]) -> bool:
        """Whether this home (see View) is of a view that is stored or watched, and has its dimensions."""
        known = self.views.get(view)
        if known is None or len(known.home(known.by)) != len(series):
            return False
        return known.stored or self.engine.reads(view)

    def home(self, view: str, series: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        """The home of a series (see View), and its arm: "" except in a split view."""
        known = self.views.get(view)
        return (series[:-1], series[-1]) if known and known.split and series else (series, "")

    def stores(self, view: str) -> bool:
        """Whether points of a view are written. A split view has none, as its home holds many series."""
        known = self.views.get(view)
        return known is not None and known.stored and not known.split and self.windows != "none"

    def away(self, view: str, series: tuple[str, ...]) -> bool:
        """Whether this is OTHER of a view whose OTHER another shard owns: each shard has one of its own."""
        return OTHER in series and shard_of(view, series, self.shards) != self.shard

    def eager(self, view: str) -> bool:
        """Whether rules read this view's open panes."""
        known = self.views[view]
        return known.eager and not known.split and self.engine.reads(view)

    def bucket(self, key: bytes) -> int:
        """The bucket of a series, by the high bits of the hash: the low bits may have chosen the shard."""
        return (zlib.crc32(key) >> 16) % self.buckets


SPARE = 4
"""Windows keep so many times more contributors than points show, so that the shown ones are exact."""
