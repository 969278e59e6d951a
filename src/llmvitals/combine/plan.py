"""The plan of a combine stage: its settings, and the functions that decode and price calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from llmvitals.errors import BadCall
from llmvitals.price.cost import Costs
from llmvitals.record.call import Call
from llmvitals.record.log import Topic
from llmvitals.record.tokens import TokenColumns
from llmvitals.record.view import DEFAULT_VIEWS, View
from llmvitals.settings import Settings
from llmvitals.window import MINUTE, SECOND, duration

SPARE: Final = 4
"""Frames keep so many times more contributors than points show, so that the shown ones are exact."""


class DecodedRecord(Protocol):
    """The contents of a record: its calls, how many things in it are no calls, and the items that are wrong.

    unread: instrumentor → things that look like calls and that nothing reads.
    """

    @property
    def calls(self) -> Sequence[Call]: ...
    @property
    def filtered(self) -> int: ...
    @property
    def refused(self) -> Sequence[BadCall]: ...
    @property
    def unread(self) -> Mapping[str, int]: ...


class Decode(Protocol):
    """Decodes a record that came at a time (µs since 1970).

    Raises errors.BadCall when nothing of it can be read.
    """

    def __call__(self, value: bytes, arrived: int, /) -> DecodedRecord: ...


Assess = Callable[[Sequence[Call], TokenColumns], Costs]
"""Prices calls, whose tokens it is given, too."""
Unmetered = tuple[bool, int, int]
"""Of a call that may be billed and does not tell its tokens: whether its cost is estimated, and the least and
the most nano-dollars (0 without an estimate)."""


def _metered(_: Call) -> Unmetered | None:
    return None


@dataclass(frozen=True, slots=True)
class CombinePlan:
    """The same for all partitions of a topic. Times are µs.

    native: a fast decoder of one native call, which may raise anything; `decode` is called then. shards:
    partitions of the partials topic. max_series: for each view, pane and source partition. heaviest: how many
    contributors of a kind are kept in a frame. dedupe_us: for how long after the end of their pane ids are
    remembered. max_ids: how many ids of sealed panes, for each source partition. scales: embedding model →
    bandwidth other than the default. dead_letters: name of their topic for the alert on a broken producer;
    "": no such alert. packed: whether frames are messages; else `Combine.hand_over` returns them.
    unknown_models: gives the models without a price → the nearest known one. unmetered: bounds the cost of a
    call that `assess` knows no cost of; None if nobody bills it or its tokens are known.
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
    max_batch_bytes: int = 4_194_304
    dead_letter_bodies: bool = False
    scales: Mapping[str, float] = field(default_factory=dict)
    dead_letters: str = ""
    packed: bool = True
    unknown_models: Callable[[], Mapping[str, str]] = dict
    unmetered: Callable[[Call], Unmetered | None] = _metered
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
        """For how many panes after its end the ids of a pane are remembered."""
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
            max_batch_bytes=settings.max_batch_bytes,
            dead_letter_bodies=settings.dead_letter_bodies,
            scales=settings.embedding_scale,
            dead_letters=settings.topic(Topic.DEAD_LETTERS),
        )
