"""What merge is told once: its views, and who watches them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from llmvitals.record.alert import Alert
from llmvitals.record.frame import shard_of
from llmvitals.record.point import Point
from llmvitals.record.view import COUNTLESS, OTHER, View
from llmvitals.record.vitals import Vitals
from llmvitals.window import FOREVER

Panes = list[tuple[int, Vitals]]
"""(pane, what was counted in it), panes ascending."""


class Rules(Protocol):
    """The rules, as merge sees them."""

    def reads(self, view: str) -> bool:
        """Whether any rule reads this view."""

    def adopt(self, view: str, state: dict[str, Any], rule: str, memory: bytes | None) -> bool:
        """Have a rule go by another memory of a series (see record.order); whether it could be done."""

    def due(self, state: dict[str, Any]) -> int:
        """The first floor at which a series has to be advanced though nothing of it closed; FOREVER: none."""

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        """The ends of the alerts in the memory of a series that no rule reads any more."""

    def advance(
        self,
        view: str,
        series: tuple[str, ...],
        state: dict[str, Any],
        *,
        floor: int,
        closed: Sequence[tuple[int, Vitals]],
        opened: Sequence[tuple[int, Vitals]],
    ) -> list[Alert | Point]:
        """One step of one series; what there is to say: alerts that changed, and points.

        series: without its arm where the view is split (see View); its panes then have `arms` (see Vitals).
        state: the rules' memory of this series, {} at first, changed in place. It must survive msgpack (a
        tuple comes back as a list) and is forgotten when it is empty. floor: every pane below it is closed.
        closed: the panes that closed since the last step. opened: of an eager view, all its open panes as far
        as they are counted; none while more is about to close, although what they held was seen before. The
        same frames give the same steps, in whatever batches they come. Many panes close in several steps:
        what is said must not depend on how they are split.
        """


class NoRules:
    """No rules."""

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

    def advance(self, *step: object, **panes: object) -> list[Alert | Point]:
        del step, panes
        return []


class Limits(NamedTuple):
    """How many names a view may have at a time, over all shards.

    series: of a view that is stored, or whose rules' points are; watched: of one that only rules read, by
    session or user.
    """

    series: int = 20_000
    watched: int = 200_000

    def of(self, view: View) -> int:
        """The limit of a view."""
        return self.watched if not view.stored and COUNTLESS.intersection(view.by) else self.series


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a shard of merge does.

    pane_us: the pane's length, µs, a divisor of a minute. views: by name. contributors: how many of the
    heaviest a point shows; SPARE times as many are kept in windows. buckets: into how many pieces the state
    is cut for checkpoints. rounds: in how many snapshots each changed bucket is written. inputs: the topics
    that are waited for; empty: all that frames name. limits: how many series views may have; shards: how
    many share them; shard: which one this is.
    """

    pane_us: int
    views: dict[str, View]
    contributors: int = 10
    engine: Rules = field(default_factory=NoRules)
    buckets: int = 256
    rounds: int = 60
    inputs: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    shards: int = 1
    shard: int = 0

    def wants(self, view: str, series: tuple[str, ...]) -> bool:
        """Whether this home (see View) is of a view that is stored or watched, and has its dimensions."""
        known = self.views.get(view)
        if known is None or len(known.home(known.by)) != len(series):
            return False
        return known.stored or self.engine.reads(view)

    def home(self, view: str, series: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        """Where a series lives, and which arm of that home it is: "" but in a split view."""
        known = self.views.get(view)
        return (series[:-1], series[-1]) if known and known.split and series else (series, "")

    def stored(self, view: str, series: tuple[str, ...]) -> bool:
        """Whether this home gives points; that of a split view holds what is many series."""
        return self.wants(view, series) and self.views[view].stored and not self.views[view].split

    def away(self, view: str, series: tuple[str, ...]) -> bool:
        """Whether this is OTHER of a view whose OTHER another shard owns: each has what it had to cut."""
        return OTHER in series and shard_of(view, series, self.shards) != self.shard

    def eager(self, view: str) -> bool:
        """Whether rules read this view's open panes."""
        return self.views[view].eager and self.engine.reads(view)

    def bucket(self, key: bytes) -> int:
        """The bucket of a series. High bits: the low ones may have chosen the shard already."""
        return (zlib.crc32(key) >> 16) % self.buckets


SPARE = 4
"""So many times more contributors are kept in a window than are shown, so that the shown ones are right."""

_encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
_decode: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(list[str])


def series_key(view: str, series: tuple[str, ...]) -> bytes:
    """A series' name on the topics and in the state: a JSON list, the view first.

    >>> series_key("app_model", ("search", "gpt-5"))
    b'["app_model","search","gpt-5"]'
    """
    return _encode((view, *series))


def series_of(key: bytes) -> tuple[str, tuple[str, ...]]:
    """Back from `series_key`: the view's name and its dimensions' values."""
    view, *series = _decode.decode(key)
    return view, tuple(series)
