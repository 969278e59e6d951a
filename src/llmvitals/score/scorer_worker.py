"""A scorer at work: gets batches, single texts where a batch fails, and pauses if it keeps failing.

`find` says where its class is, and checks that its packages are installed.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Generator, Sequence
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.errors import ConfigError, suggestion
from llmvitals.record.call import MAX_VECTOR
from llmvitals.score.process import STEP, Failed, Process
from llmvitals.score.protocol import Gives
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.scorers import ScorerSetting

GROUP: Final = "llmvitals.scorers"
NEEDS: Final = {"profanity": ("profanity_check", "profanity"), "wordllama": ("wordllama", "embeddings")}
"""Scorer of llmvitals → the package that it needs, and the extra that installs it."""

log = logging.getLogger(__name__)

Row = NDArray[np.float64]
"""One number in [0, 1], or a vector of finite ones."""
Waiting = Generator[list[Any], None, "list[Row | None]"]
"""Yields an empty list whenever others may run; returns a row for each text, None: unscored."""

_RETRY_TIMEOUTS: Final = 3.0
"""How many timeouts a batch may cost when it is tried again text by text; the rest of it is unscored."""
LONGEST_PAUSE: Final = 60.0


def find(name: str) -> str:
    """Return `package.module:attribute` of a scorer; nothing of it is imported.

    name: an entry point's, or that already. Raises ConfigError that says what to install or to write.
    """
    known = {point.name: point.value for point in entry_points(group=GROUP)}
    target = name if ":" in name else known.get(name)
    if target is None:
        raise ConfigError(
            f"scorers: there is no scorer {name!r}{suggestion(name, sorted(known))} "
            "(a class of your own is named package.module:Class)"
        )
    package, extra = NEEDS.get(name, ("", ""))
    if package and not _there(package):
        raise ConfigError(f"scorers: {name} needs the package {package}: pip install 'llmvitals[{extra}]'")
    module, _, attribute = target.partition(":")
    if not attribute or not _there(module):
        raise ConfigError(
            f"scorers: {name}: there is no module {module!r}, or no class after the colon: install the "
            "package that has it, or correct it; it is written package.module:Class"
        )
    return target


def _there(module: str) -> bool:
    """Whether a module can be imported in the scorer's process, which also looks in the folder it is in."""
    here = str(Path.cwd())
    if here not in sys.path and PathFinder.find_spec(module.partition(".")[0], [here]) is not None:
        return True
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


class ScorerWorker:
    """A scorer and its process; copes with one that crashes, hangs, raises or returns nonsense.

    A batch that fails is tried again text by text, so that one bad text costs only itself. From the second
    batch in a row of which no text could be scored the scorer pauses: for 1, 2, 4 … 60 s nothing is sent to
    it and all texts are unscored, since waiting would only make the lag grow. Partitions share it, and take
    turns.

    note: called with the scorer's name and what is wrong with it, or None; never with texts. Call open()
    first.
    """

    def __init__(self, setting: ScorerSetting, note: Callable[[str, str | None], None]) -> None:
        self.setting, self._note = setting, note
        self._seconds = duration(setting.timeout) / SECOND
        self.process = Process(find(setting.scorer), self._seconds)
        self._turn = threading.Lock()
        self._failures, self._paused_until, self.trouble = 0, 0.0, ""
        self.name, self.gives, self.of = "", "", ""

    def open(self) -> None:
        """Start the process and load the scorer. Raises ConfigError when it can't be loaded."""
        try:
            self.process.begin()
            while not self.process.greeted():
                pass
        except Failed as why:
            raise ConfigError(f"scorers: {self.setting.scorer} can't be loaded: {why}") from why
        hello = self.process.hello
        if hello is None:
            raise AssertionError
        self.name, self.gives = hello.name, hello.gives
        self.of = self.setting.of or ("input" if self.gives == "embedding" else "output")

    def close(self) -> None:
        """End the process."""
        self.process.end()

    def tried(self, text: str) -> Row | None:
        """Score one text, and wait for it."""
        work = self.score([text])
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value[0]  # type: ignore[no-any-return]

    def score(self, texts: Sequence[str]) -> Waiting:
        """Score each text; texts longer than the setting allows are cut."""
        cut = [_clean(text[: self.setting.longest]) for text in texts]
        rows: list[Row | None] = []
        while not self._turn.acquire(timeout=STEP):
            yield []
        try:
            for start in range(0, len(cut), self.setting.batch):
                rows += yield from self._batch(cut[start : start + self.setting.batch])
        finally:
            if self.process.busy:  # the caller has given up, so the answer would be read by the next one
                self.process.end()
            self._turn.release()
        return rows

    def _batch(self, texts: list[str]) -> Waiting:
        if time.monotonic() < self._paused_until:
            return [None] * len(texts)
        rows: list[Row | None]
        try:
            rows = yield from self._ask(texts)
        except Failed as why:
            self.trouble = str(why)
            rows = yield from self._one_by_one(texts)
        self._record(any(row is not None for row in rows))
        return rows

    def _one_by_one(self, texts: list[str]) -> Waiting:
        rows: list[Row | None] = []
        waited = 0.0
        for text in texts:
            began = time.monotonic()
            try:
                if waited < _RETRY_TIMEOUTS * self._seconds:
                    rows += yield from self._ask([text])
                else:
                    rows.append(None)
            except Failed as why:
                self.trouble = str(why)
                waited += time.monotonic() - began
                rows.append(None)
        return rows

    def _ask(self, texts: list[str]) -> Waiting:
        """Score texts in one request. Raises Failed."""
        if not self.process.loaded:
            self.process.begin()
            while not self.process.greeted():
                yield []
        self.process.ask(texts)
        while (numbers := self.process.answer()) is None:
            yield []
        if (why := wrong(numbers, len(texts), self.gives)) is not None:
            raise Failed(why)
        return list(numbers)

    def _record(self, well: bool) -> None:
        """Note how the last batch went; pause from the second failure in a row on."""
        who = f"scorer {self.setting.scorer}"
        if well:
            if self._failures:
                log.info("%s scores again", who)
            self._failures, self._paused_until = 0, 0.0
            self._note(who, None)
            return
        self._failures += 1
        pause = min(2.0 ** (self._failures - 2), LONGEST_PAUSE) if self._failures > 1 else 0.0
        self._paused_until = time.monotonic() + pause
        report = f"{who}: {self.trouble}; {self._failures} batches in a row are unscored"
        log.warning("%s; the next batch is sent in %.0f s", report, pause)
        self._note(who, report)


def wrong(numbers: NDArray[np.float64], texts: int, gives: Gives | str) -> str | None:
    """Return what is wrong with an answer, or None."""
    if gives == "embedding":
        if numbers.ndim != 2 or len(numbers) != texts or not 1 <= numbers.shape[1] <= MAX_VECTOR:
            return f"it gives an array of shape {numbers.shape} for {texts} texts, not ({texts}, d)"
    elif numbers.shape != (texts,):
        return f"it gives an array of shape {numbers.shape} for {texts} texts, not ({texts},)"
    if not np.isfinite(numbers).all():
        return "it gives numbers that are not finite"
    if gives != "embedding" and ((numbers < 0) | (numbers > 1)).any():
        return "it gives numbers outside 0 … 1"
    return None


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON may hold and the socket can't."""
    return text if text.isascii() else text.encode(errors="replace").decode()
