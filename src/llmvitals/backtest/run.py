"""A backtest from its beginning to its outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.backtest import lines
from llmvitals.backtest.difference import Pair, compared
from llmvitals.backtest.episodes import Episode, Record, Span, episodes, records
from llmvitals.backtest.evaluator import Evaluator
from llmvitals.errors import ConfigError
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from llmvitals.backtest.evaluator import Judge
    from llmvitals.settings import Settings

    Told = Callable[[Evaluator, float | None], None]

FILE: Final = "backtest"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules of one folder said: each rule's record, every episode."""

    folder: Path
    records: Sequence[Record]
    episodes: Sequence[Episode]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backtest found.

    span: None where there was no call. calls: what became of them, see Combine. seconds: how long it took.
    pairs: with a second folder, every episode of both.
    """

    span: Span | None
    calls: dict[str, int]
    seconds: float
    verdicts: Sequence[Verdict]
    pairs: Sequence[Pair] = ()


def of_file(settings: Settings, name: str, folders: Sequence[Path], told: Told) -> Outcome:
    """The calls of a file (`-`: standard input).

    told: called after each piece with the trial and how much is read, 0 … 1, None where nobody knows.
    Raises ConfigError (RuleError for rules) that names what is wrong.
    """
    trial, began = prepared(settings, folders, {FILE: 1}), time.perf_counter()
    with lines.opened(name) as (file, share):
        for batch in lines.batches(file):
            trial.feed(FILE, 0, batch)
            told(trial, share())
    trial.end(FILE, 0)
    return outcome(trial, folders, time.perf_counter() - began)


def prepared(settings: Settings, folders: Sequence[Path], sources: dict[str, int]) -> Evaluator:
    """The rules of each folder, ready for the calls of these topics (→ partitions).

    Raises ConfigError (RuleError for rules) that names what is wrong.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder: name one with rules in it (*.yaml)")
    return Evaluator(settings, folders, sources)


def outcome(trial: Evaluator, folders: Sequence[Path], seconds: float) -> Outcome:
    """What the rules said of all calls that the trial was fed with."""
    span = trial.span
    whole = span or Span(0, SECOND)
    verdicts = [_verdict(folder, judge, whole) for folder, judge in zip(folders, trial.judges, strict=True)]
    both = [verdict.episodes for verdict in verdicts]
    pairs = compared(*both) if len(both) == 2 else ()
    return Outcome(span, dict(trial.counters), seconds, verdicts, pairs)


def _verdict(folder: Path, judge: Judge, span: Span) -> Verdict:
    found = episodes(judge.alerts)
    return Verdict(folder, records(judge.rules, found, span), found)
