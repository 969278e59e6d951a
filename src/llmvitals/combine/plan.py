"""What a combine stage is built from: the settings that matter to it, and the verbs that it is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from llmvitals.record.call import Call
from llmvitals.record.log import Topic
from llmvitals.record.view import DEFAULT_VIEWS, View
from llmvitals.settings import Settings
from llmvitals.window import MINUTE, SECOND, duration

SPARE: Final = 4
"""So many times more contributors are kept in a frame than are shown, so that the shown ones are right."""


class Reason(Protocol):
    """Why a cost is what it is, or is not known; combine asks for the name INCONSISTENT only."""

    @property
    def name(self) -> str: ...


class Decoded(Protocol):
    """What one record held: its calls, and how many things in it that are no calls."""

    @property
    def calls(self) -> Sequence[Call]: ...
    @property
    def filtered(self) -> int: ...


Decode = Callable[[bytes], Decoded]
"""Raises errors.BadCall when the record can't be read."""
Cost = tuple[int | None, Reason, int]
"""Nano-dollars, None where they are not known; why; and nano-dollars without any cache."""
Assess = Callable[[Call], Cost]


@dataclass(frozen=True, slots=True)
class CombinePlan:
    """The same for all partitions of a topic.

    Times are µs. native: a fast reader of one native call (a JSON decoder), which may raise anything:
    `decode` then has the last word. shards: partitions of the partials. max_series: per view, pane and source
    partition.
    heaviest: how many contributors of a kind are kept in a frame. dedupe_us: for how long after their pane
    closed ids are remembered; max_ids: how many ids of closed panes are, per source partition. scales: model
    of embeddings → bandwidth, where it is not sketch.space's. dead_letters: the name of their topic, of which
    an alert on a broken producer speaks; "": there is none.
    """

    decode: Decode
    assess: Assess
    native: Callable[[bytes], Call] | None = None
    views: tuple[View, ...] = DEFAULT_VIEWS
    shards: int = 1
    pane_us: int = 10 * SECOND
    disorder_us: int = 10 * SECOND
    future_us: int = 5 * MINUTE
    dedupe_us: int = 0
    max_ids: int = 10_000_000
    max_series: int = 20_000
    heaviest: int = 10
    max_record_bytes: int = 262_144
    dead_letter_bodies: bool = False
    scales: Mapping[str, float] = field(default_factory=dict)
    dead_letters: str = ""
    dimensions: tuple[str, ...] = field(init=False)
    """Every dimension that a view splits or filters by."""

    def __post_init__(self) -> None:
        named = [name for view in self.views for name in (*view.by, *(name for name, _ in view.where))]
        object.__setattr__(self, "dimensions", tuple(dict.fromkeys(named)))

    @property
    def meaning(self) -> bool:
        """Whether any view asks for embeddings."""
        return any(view.meaning for view in self.views)

    @property
    def remembered(self) -> int:
        """For how many panes after its closing the ids of a pane are remembered."""
        return -(-self.dedupe_us // self.pane_us)

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        views: Sequence[View],
        shards: int,
        decode: Decode,
        native: Callable[[bytes], Call] | None,
        assess: Assess,
    ) -> CombinePlan:
        """The plan that the settings ask for."""
        return cls(
            decode=decode,
            assess=assess,
            native=native,
            views=tuple(views),
            shards=shards,
            pane_us=duration(settings.pane),
            disorder_us=duration(settings.disorder),
            future_us=duration(settings.future),
            dedupe_us=duration(settings.dedupe_horizon),
            max_ids=settings.dedupe_ids,
            max_series=settings.max_series,
            heaviest=settings.contributors * SPARE,
            max_record_bytes=settings.max_record_bytes,
            dead_letter_bodies=settings.dead_letter_bodies,
            scales=settings.embedding_scale,
            dead_letters=settings.topic(Topic.DEAD_LETTERS),
        )
