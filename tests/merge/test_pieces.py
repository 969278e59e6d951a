"""Merge: no piece of its work is large, however many series a bucket has."""

from __future__ import annotations

from itertools import chain, islice, pairwise

import pytest

from frames import FIRST, PANE, VIEWS, entry, frame, log, stored, vitals
from llmvitals.merge import Merge, MergePlan, closer
from llmvitals.merge.plan import NoRules
from llmvitals.record.alert import Alert
from llmvitals.record.frame import Frame
from llmvitals.record.point import Point, decode

SERIES = 6_000
WINDOWS = 4
"""Those of a minute and longer."""
MOST = 2 * closer.STRETCH + closer.POINTS
ONE = vitals(calls=1, contributors={"user": {"ann": (1, 0, 0, 0, 0, 0)}})


class Everything(NoRules):
    """Reads the view of teams, and counts how often it is asked."""

    asked = 0

    def reads(self, view: str) -> bool:
        return view == "team"

    def advance(self, *step: object, **panes: object) -> list[Alert | Point]:
        del step, panes
        self.asked += 1
        return []


def merge(engine: NoRules | None = None, buckets: int = 1, parts: dict[str, bytes] | None = None) -> Merge:
    plan = MergePlan(PANE, VIEWS, buckets=buckets, engine=engine or NoRules())
    return Merge(plan, shard=0, parts=parts or {}, beginning=0)


def of_all(view: str, series: int = SERIES) -> Frame:
    """A call of each series, in a pane that stays open."""
    return frame(0, 1, *(entry(0, ONE, view, f"s{number}") for number in range(series)), of=1)


def test_the_points_of_a_minute_come_in_many_pieces() -> None:
    """The floor passes a minute in which no pane closes any more, and the longer windows change with it."""
    stage = merge()
    stage.apply(log([of_all("app"), frame(0, 2, floor=1, of=1)]))
    made = [
        sum(len(decode(message.value or b"")) for message in piece)
        for piece in stage.pieces(log([frame(0, 3, floor=6, of=1)], 2))
    ]
    assert sum(made) == WINDOWS * SERIES
    assert max(made) <= MOST


def test_series_are_evaluated_in_many_pieces() -> None:
    """One pane of one bucket has more series than a piece evaluates."""
    engine = Everything()
    stage = merge(engine)
    work = stage.pieces(log([of_all("team"), frame(0, 2, floor=1, of=1)]))
    asked = [0, *(engine.asked for _ in work)]
    assert asked[-1] == SERIES
    assert max(after - before for before, after in pairwise(asked)) <= MOST


def test_a_crash_between_the_points_of_a_minute_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket whose points are not all returned is not in a checkpoint as if they were.

    The points of about two buckets are gathered, and returned one by one.
    """
    monkeypatch.setattr(closer, "STRETCH", 20)
    monkeypatch.setattr(closer, "POINTS", 1)
    monkeypatch.setattr("llmvitals.merge.stage.STRETCH", 1)
    records = log([of_all("app", 12), frame(0, 2, floor=1, of=1), frame(0, 3, floor=6, of=1)])
    pieces = [*merge(buckets=4).pieces(records)]
    whole = stored(chain.from_iterable(pieces))
    assert len(whole) == (1 + WINDOWS) * 12
    for cut in range(len(pieces)):
        stage = merge(buckets=4)
        sent = [*chain.from_iterable(islice(stage.pieces(records), cut))]
        again = merge(buckets=4, parts=stage.snapshot(whole=True).parts)
        assert stored([*sent, *again.apply(records[again.next :])]) == whole
        assert again.watermark == (FIRST + 6) * PANE
