"""Progress bars on stderr, shown on a terminal only."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from llmvitals.backtest.show import when
from llmvitals.console import console as terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmvitals.backtest.evaluator import Evaluator
    from llmvitals.backtest.run import OnProgress


@contextmanager
def backtest_progress() -> Iterator[OnProgress]:
    """Show the number of calls read, their newest time, and the rate."""
    began = time.perf_counter()
    with _transient(BarColumn()) as bar:
        task = bar.add_task("reading calls", total=None)

        def update(evaluator: Evaluator, share: float | None) -> None:
            calls = evaluator.counters["in"]
            rate = calls / max(time.perf_counter() - began, 1e-3)
            text = f"{calls:,} calls · {when(evaluator.time)} · {rate:,.0f}/s"
            bar.update(task, description=text, completed=share or 0, total=1 if share else None)

        yield update


@contextmanager
def replay_progress() -> Iterator[Callable[[str, float], None]]:
    """Show what is done, and the share of it."""
    with _transient(BarColumn()) as bar:
        task = bar.add_task("reading events", total=1)
        yield lambda name, share: bar.update(task, description=name, completed=share)


@contextmanager
def text_progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with a changing text."""
    with _transient() as bar:
        task = bar.add_task(text, total=None)
        yield lambda text: bar.update(task, description=text)


@contextmanager
def sent_progress(topic: str) -> Iterator[Callable[[int], None]]:
    """Show a bar of the lines sent to a topic; it stays when all are sent."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=terminal(stderr=True)) as bar:
        task, count = bar.add_task(topic, total=None), 0

        def update(sent: int) -> None:
            nonlocal count
            count = sent
            bar.update(task, completed=sent)

        yield update
        bar.update(task, total=count)


def _transient(*more: ProgressColumn) -> Progress:
    """A spinner with a text, and these columns; nothing of it stays."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), *more
    return Progress(*columns, console=terminal(stderr=True), transient=True)
