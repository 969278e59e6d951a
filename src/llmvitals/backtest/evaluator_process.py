"""Evaluates views in processes of their own, on as many cores as there are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeVar

from llmvitals.errors import LlmvitalsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from llmvitals.backtest.pane_evaluator import PaneEvaluator
    from llmvitals.backtest.reader import Block, Coder
    from llmvitals.backtest.view_evaluator import ViewEvaluator
    from llmvitals.record.alert import Alert

    Views = Sequence[ViewEvaluator | PaneEvaluator]
    Result = tuple[list[Alert], dict[tuple[str, ...], set[str]]]

T = TypeVar("T")
AHEAD: Final = 4
"""Blocks that a process is behind at most; so many are in memory."""
PROCESSES: Final = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
"""One for each core. Elsewhere only one: a process that has used numpy cannot always be copied there."""


class EvaluatorProcess:
    """A process that evaluates some views from now on. It begins as a copy of this one.

    The evaluators of the first process know nothing new until `end`. Raises what an evaluator raises, and
    LlmvitalsError if the process is killed.
    """

    def __init__(self, views: Views, coder: Coder) -> None:
        self._views, self._names = views, coder.every
        self._reads = {view.reads for view in views}
        self._sent = [len(names) for names in self._names]
        self._blocks: deque[Future[None]] = deque()
        context = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=(views, self._names))
        _result(self._pool.submit(_begun))  # it is copied now

    def take(self, block: Block, low: int) -> None:
        """Evaluate the panes below `low`; see SeriesEvaluator."""
        if len(self._blocks) == AHEAD:
            _result(self._blocks.popleft())
        new = [names[sent:] for names, sent in zip(self._names, self._sent, strict=True)]
        self._sent = [len(names) for names in self._names]
        self._blocks.append(self._pool.submit(_take, new, block.read_by(self._reads), low))

    def end(self) -> None:
        """End the process, and give its results to the evaluators here."""
        for future in self._blocks:
            _result(future)
        for view, found in zip(self._views, _result(self._pool.submit(_end)), strict=True):
            view.alerts, view.found = found
        self._pool.shutdown()


def begun(views: Views, costs: Sequence[float], coder: Coder, most: int) -> list[EvaluatorProcess]:
    """Begin at most so many processes, which share the views by what each has cost so far."""
    shares: list[tuple[float, list[ViewEvaluator | PaneEvaluator]]] = [(0, []) for _ in range(most)]
    for cost, view in sorted(zip(costs, views, strict=True), key=itemgetter(0), reverse=True):
        spent, share = least = min(shares, key=itemgetter(0))
        shares[shares.index(least)] = spent + cost, [*share, view]
    return [EvaluatorProcess(share, coder) for _, share in shares if share]


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except BrokenProcessPool:
        cure = "the machine may be out of memory: read fewer calls at once"
        raise LlmvitalsError(f"a process that evaluates rules was killed; {cure}") from None


_views: Views = ()
_names: Sequence[list[str]] = ()


def _begin(views: Views, names: Sequence[list[str]]) -> None:
    global _views, _names
    _views, _names = views, names
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the first process, and so this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _begun() -> None:
    """Do nothing: the process has begun."""


def _take(new: Sequence[list[str]], block: Block, low: int) -> None:
    for names, more in zip(_names, new, strict=True):
        names.extend(more)
    for view in _views:
        view.take(block, low)


def _end() -> list[Result]:
    for view in _views:
        view.end()
    return [(view.alerts, view.found) for view in _views]
