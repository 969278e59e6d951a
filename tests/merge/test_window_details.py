"""Minutes and longer windows hold of contributors, exemplars and scores what points show; rules get all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from frames import PANE, VIEWS, contents, entry, frame, log, vitals
from llmvitals.merge import Merge, MergePlan, NoRules
from llmvitals.merge.packed_bucket import unpack
from llmvitals.record.details import Details
from llmvitals.record.frame import Frame
from llmvitals.sketch.top_k import Exemplars


class Listening(NoRules):
    """Reads the views, and keeps the exemplars of each closed pane."""

    def __init__(self) -> None:
        self.heard: list[Exemplars] = []

    def reads(self, view: str) -> bool:
        del view
        return True

    def advance(self, *step: Any, **panes: Any) -> list[Any]:
        del step
        self.heard += [vitals.exemplars for _, vitals in panes["closed"]]
        return []


PLAN = MergePlan(PANE, {"all": VIEWS["all"]}, engine=Listening(), buckets=1)


def merge(parts: dict[str, bytes] | None = None, engine: NoRules | None = None) -> Merge:
    return Merge(replace(PLAN, engine=engine or Listening()), shard=0, parts=parts or {}, beginning=0)


def said(source: int, pane: int) -> Frame:
    """A call of somebody, and the next floor."""
    user, score = {f"user-{source}": (1, 5, 0, 5, 0, 0)}, {"helpful": (1, 500_000, 250_000)}
    content = vitals(calls=1, contributors={"user": user})
    content = replace(content, exemplars={"cost": ((5, f"call-{source}-{pane}"),)}, scores=score)
    return frame(source, pane + 1, entry(pane, content), floor=pane + 1)


FRAMES = [said(source, pane) for pane in range(14) for source in range(2)]


def details(parts: dict[str, bytes]) -> Iterator[Details]:
    """Those of minutes and longer windows, in a checkpoint."""
    (table,) = unpack(parts["bucket/0"], PLAN).tables.values()
    minutes = [part for parts in table.minutes.values() for part in parts]
    windows = [part for starts in table.windows.values() for part in starts.values()]
    for part in (*minutes, *windows):
        yield from map(Details.unpack, part.rows.details.values())


def test_windows_have_contributors_and_scores_and_rules_have_the_exemplars_of_all_sources() -> None:
    engine = Listening()
    stage = merge(engine=engine)
    stage.apply(log(FRAMES))
    found = [*details(stage.snapshot(whole=True).parts)]
    assert len(found) == 2 + 3
    assert all(each.contributors and each.scores and not each.exemplars for each in found)
    assert engine.heard == [{"cost": ((5, f"call-0-{pane}"), (5, f"call-1-{pane}"))} for pane in range(14)]


def test_a_checkpoint_of_a_version_whose_windows_had_exemplars_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = merge()
    want = contents(whole.apply(log(FRAMES)) + whole.finish())
    cut = 2 * 8  # in the second minute
    with monkeypatch.context() as older:
        older.setattr(Details, "shown", Details.unpack)
        stage = merge()
        before = stage.apply(log(FRAMES[:cut]))
        parts = stage.snapshot(whole=True).parts
        assert all(each.exemplars for each in details(parts))
    stage = merge(parts)
    after = stage.apply(log(FRAMES[cut:], cut))
    assert not any(each.exemplars for each in details(stage.snapshot(whole=True).parts))
    assert contents(before + after + stage.finish()) == want
