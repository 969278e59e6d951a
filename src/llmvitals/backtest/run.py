"""Runs a backtest: reads the calls, evaluates the rules and summarises their episodes."""

from __future__ import annotations

import gzip
import itertools
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from llmvitals.backtest.copied_process import PROCESSES
from llmvitals.backtest.episodes import Episode, Pair, Record, Span, compared, episodes, records
from llmvitals.backtest.evaluator import Evaluator
from llmvitals.errors import ConfigError
from llmvitals.record.log import Logged
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from llmvitals.backtest.evaluator import FolderEvaluator
    from llmvitals.settings import Settings

    OnProgress = Callable[[Evaluator, float | None], None]

BATCH: Final = 4_096

FILE: Final = "backtest"


def batches(lines: Iterable[bytes]) -> Iterator[list[Logged]]:
    """Records of the non-empty lines, with the present as append time."""
    now = time.time_ns() // 1_000_000
    filled = (line.rstrip(b"\n") for line in lines if line.strip())
    numbered = (Logged(offset, now, line) for offset, line in enumerate(filled))
    while batch := list(itertools.islice(numbered, BATCH)):
        yield batch


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, Callable[[], float | None]]]:
    """Open a file of lines (`-`: standard input; `.gz`: gzip), with a function for the share that is read.

    The share is 0 … 1, or None if it is unknown. Raises ConfigError if there is no such file.
    """
    if name == "-":
        yield sys.stdin.buffer, lambda: None
        return
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"{name} is not a file: name a file, or - for standard input")
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        yield cast("BinaryIO", file), lambda: raw.tell() / size


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
    with opened(name) as (file, share):
        for batch in batches(file):
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
    return Evaluator.of(settings, folders, sources, processes=PROCESSES)


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
