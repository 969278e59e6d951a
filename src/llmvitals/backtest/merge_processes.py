"""Merges frames in processes of their own."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from llmvitals.backtest.copied_process import CopiedProcess, result
from llmvitals.pipeline import merge_alone
from llmvitals.record.frame import BlockFrame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from concurrent.futures import Future

    from llmvitals.merge import Merge
    from llmvitals.merge.plan import MergePlan
    from llmvitals.record.frame import AnyFrame
    from llmvitals.record.log import Message


class MergeProcesses:
    """Stage 2 in a process for each of these plans, of which each has other views.

    Law: the points and alerts are those of one merge with all views. They come at the end.
    """

    def __init__(self, plans: Sequence[MergePlan]) -> None:
        self._processes = [(plan.views, CopiedProcess(merge_alone(plan))) for plan in plans]
        self._messages: list[Future[list[Message]]] = []

    def apply_frames(self, frames: Iterable[AnyFrame]) -> list[Message]:
        """Apply frames, see Merge. Raises as CopiedProcess does."""
        frames = list(frames)
        for views, process in self._processes if frames else ():
            mine = [_only(frame, views) for frame in frames]
            self._messages.append(process.begin(_apply, mine))
        return []

    def flush(self) -> list[Message]:
        """Nothing is early here."""
        return []

    def finish(self) -> list[Message]:
        """End the log and the processes; return all points and alerts. Raises as CopiedProcess does."""
        last = [process.end(_finish) for _, process in self._processes]
        return [*chain.from_iterable(map(result, self._messages)), *chain.from_iterable(last)]


def _only(frame: AnyFrame, views: Collection[str]) -> AnyFrame:
    """A frame with the entries of these views."""
    if isinstance(frame, BlockFrame):
        return msgspec.structs.replace(frame, blocks=tuple(b for b in frame.blocks if b.view in views))
    entries, late = (tuple(e for e in some if e.view in views) for some in (frame.entries, frame.late))
    return msgspec.structs.replace(frame, entries=entries, late=late)


def _apply(merge: Merge, frames: Sequence[AnyFrame]) -> list[Message]:
    return [*merge.apply_frames(frames), *merge.flush()]


def _finish(merge: Merge) -> list[Message]:
    return merge.finish()
