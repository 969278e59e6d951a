"""Runs a backtest: reads the calls, evaluates the rules and summarises their episodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.backtest import call_file
from llmvitals.backtest.difference import Pair, compared
from llmvitals.backtest.episodes import Episode, Record, Span, episodes, records
from llmvitals.backtest.evaluator import Evaluator
from llmvitals.errors import ConfigError
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from llmvitals.backtest.evaluator import FolderEvaluator
    from llmvitals.settings import Settings

    OnProgress = Callable[[Evaluator, float | None], None]

FILE: Final = "backtest"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one folder of rules: the record of each rule, and all episodes."""

    folder: Path
    records: Sequence[Record]
    episodes: Sequence[Episode]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a backtest.

    span: None without calls. calls: their counters, see Combine. seconds: how long it took. pairs: with a
    second folder of rules, the episodes of both.
    """

    span: Span | None
    calls: dict[str, int]
    seconds: float
    verdicts: Sequence[Verdict]
    pairs: Sequence[Pair] = ()


def of_file(settings: Settings, name: str, folders: Sequence[Path], progress: OnProgress) -> Outcome:
    """Backtest rules on the calls of a file (`-`: standard input).

    progress: called after each batch with the evaluator and the share of the file that is read, None if that
    is unknown. Raises ConfigError (RuleError for rules) that names the mistake.
    """
    evaluator, began = prepared(settings, folders, {FILE: 1}), time.perf_counter()
    with call_file.opened(name) as (file, share):
        for batch in call_file.batches(file):
            evaluator.feed(FILE, 0, batch)
            progress(evaluator, share())
    evaluator.end(FILE, 0)
    return outcome(evaluator, folders, time.perf_counter() - began)


def prepared(settings: Settings, folders: Sequence[Path], sources: dict[str, int]) -> Evaluator:
    """Load the rules of each folder, to be fed with the calls of these topics (→ partitions).

    Raises ConfigError (RuleError for rules) that names the mistake.
    """
    for folder in folders:
        if not folder.exists():
            raise ConfigError(f"{folder} is not a folder: name a folder of rule files (*.yaml), or one file")
    return Evaluator(settings, folders, sources)


def outcome(evaluator: Evaluator, folders: Sequence[Path], seconds: float) -> Outcome:
    """The result of an evaluator that was fed with all calls."""
    span = evaluator.span
    whole = span or Span(0, SECOND)
    verdicts = [
        _verdict(folder, folder_evaluator, whole)
        for folder, folder_evaluator in zip(folders, evaluator.folders, strict=True)
    ]
    both = [verdict.episodes for verdict in verdicts]
    pairs = compared(*both) if len(both) == 2 else ()
    return Outcome(span, dict(evaluator.counters), seconds, verdicts, pairs)


def _verdict(folder: Path, folder_evaluator: FolderEvaluator, span: Span) -> Verdict:
    found = episodes(folder_evaluator.alerts)
    return Verdict(folder, records(folder_evaluator.rules, found, span), found)
