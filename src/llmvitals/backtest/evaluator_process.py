"""Evaluates views in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.backtest.copied_process import CopiedProcess, shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.backtest.pane_evaluator import PaneEvaluator
    from llmvitals.backtest.reader import Block, Coder
    from llmvitals.backtest.view_evaluator import ViewEvaluator
    from llmvitals.record.alert import Alert

    Views = Sequence[ViewEvaluator | PaneEvaluator]
    Names = list[list[str]]
    Found = tuple[list[Alert], dict[tuple[str, ...], set[str]]]


class EvaluatorProcess:
    """Evaluates some views from now on, in a copy of this process; here they know nothing new until `end`."""

    def __init__(self, views: Views, coder: Coder) -> None:
        self._views, self._names = views, coder.every
        self._reads = {view.reads for view in views}
        self._sent = [len(names) for names in self._names]
        self._process = CopiedProcess((views, self._names))

    def take(self, block: Block, low: int) -> None:
        """Evaluate the panes below `low`, see SeriesEvaluator. Raises as CopiedProcess does."""
        new = [names[sent:] for names, sent in zip(self._names, self._sent, strict=True)]
        self._sent = [len(names) for names in self._names]
        self._process.begin(_take, new, block.read_by(self._reads), low)

    def end(self) -> None:
        """End the process; then the views know its results here. Raises as CopiedProcess does."""
        for view, found in zip(self._views, self._process.end(_end), strict=True):
            view.alerts, view.found = found


def begun(views: Views, costs: Sequence[float], coder: Coder, most: int) -> list[EvaluatorProcess]:
    """Begin at most so many processes, which share the views by what each has cost so far."""
    weighed = zip(costs, views, strict=True)
    return [EvaluatorProcess(share, coder) for share in shares(weighed, most)]


def _take(state: tuple[Views, Names], new: Names, block: Block, low: int) -> None:
    views, names = state
    for mine, more in zip(names, new, strict=True):
        mine.extend(more)
    for view in views:
        view.take(block, low)


def _end(state: tuple[Views, Names]) -> list[Found]:
    views, _ = state
    for view in views:
        view.end()
    return [(view.alerts, view.found) for view in views]
