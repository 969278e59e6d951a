"""One scorer at work: asked in batches, tried again text by text, given a rest when it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.errors import ConfigError
from llmvitals.record.call import MAX_VECTOR
from llmvitals.score.process import STEP, Failed, Process
from llmvitals.score.protocol import Gives
from llmvitals.score.registry import find
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.scorers import ScorerSetting

log = logging.getLogger(__name__)

Row = NDArray[np.float64]
"""One number in [0, 1], or a vector of finite ones."""
Waiting = Generator[list[Any], None, "list[Row | None]"]
"""Yields an empty list whenever others may have their turn; gives a row for each text, None: unscored."""

LOST: Final = 3.0
"""Time-outs that a batch may cost when it is tried again text by text; what then remains is unscored."""
LONGEST_REST: Final = 60.0


class ScorerWorker:
    """A scorer, its process, and what happens when it crashes, hangs, raises or says nonsense.

    A batch that fails is tried again text by text, so that one bad text costs only itself. From the second
    batch in a row of which nothing could be scored it rests: for 1, 2, 4 … 60 s nothing is asked and all is
    unscored, as waiting would only make the lag grow. Partitions share it, and take turns.

    say: is told how it is, None for well; texts never. open() before anything else.
    """

    def __init__(self, setting: ScorerSetting, say: Callable[[str, str | None], None]) -> None:
        self.setting, self._say = setting, say
        self._seconds = duration(setting.timeout) / SECOND
        self.process = Process(find(setting.scorer), self._seconds)
        self._turn = threading.Lock()
        self._failures, self._rests, self.trouble = 0, 0.0, ""
        self.name, self.gives, self.of = "", "", ""

    def open(self) -> None:
        """Load the scorer, to see that it can be. Raises ConfigError."""
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
        """What it says of one text, waited for."""
        work = self.score([text])
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value[0]  # type: ignore[no-any-return]

    def score(self, texts: Sequence[str]) -> Waiting:
        """What it says of each text; texts longer than the setting allows are cut."""
        cut = [_clean(text[: self.setting.longest]) for text in texts]
        found: list[Row | None] = []
        while not self._turn.acquire(timeout=STEP):
            yield []
        try:
            for start in range(0, len(cut), self.setting.batch):
                found += yield from self._batch(cut[start : start + self.setting.batch])
        finally:
            if self.process.busy:  # nobody waits for the answer any more
                self.process.end()
            self._turn.release()
        return found

    def _batch(self, texts: list[str]) -> Waiting:
        if time.monotonic() < self._rests:
            return [None] * len(texts)
        found: list[Row | None]
        try:
            found = yield from self._ask(texts)
        except Failed as why:
            self.trouble = str(why)
            found = yield from self._one_by_one(texts)
        self._book(any(row is not None for row in found))
        return found

    def _one_by_one(self, texts: list[str]) -> Waiting:
        found: list[Row | None] = []
        lost = 0.0
        for text in texts:
            began = time.monotonic()
            try:
                if lost < LOST * self._seconds:
                    found += yield from self._ask([text])
                else:
                    found.append(None)
            except Failed as why:
                self.trouble = str(why)
                lost += time.monotonic() - began
                found.append(None)
        return found

    def _ask(self, texts: list[str]) -> Waiting:
        """Raises Failed."""
        if not self.process.loaded:
            self.process.begin()
            while not self.process.greeted():
                yield []
        self.process.ask(texts)
        while (found := self.process.answer()) is None:
            yield []
        if (why := wrong(found, len(texts), self.gives)) is not None:
            raise Failed(why)
        return list(found)

    def _book(self, well: bool) -> None:
        """How the last batch went."""
        who = f"scorer {self.setting.scorer}"
        if well:
            if self._failures:
                log.info("%s scores again", who)
            self._failures, self._rests = 0, 0.0
            self._say(who, None)
            return
        self._failures += 1
        rest = min(2.0 ** (self._failures - 2), LONGEST_REST) if self._failures > 1 else 0.0
        self._rests = time.monotonic() + rest
        told = f"{who}: {self.trouble}; {self._failures} batches in a row are unscored"
        log.warning("%s; it is asked again in %.0f s", told, rest)
        self._say(who, told)


def wrong(found: NDArray[np.float64], texts: int, gives: Gives | str) -> str | None:
    """What is wrong about an answer, if anything is."""
    if gives == "embedding":
        if found.ndim != 2 or len(found) != texts or not 1 <= found.shape[1] <= MAX_VECTOR:
            return f"it gives an array of shape {found.shape} for {texts} texts, not ({texts}, d)"
    elif found.shape != (texts,):
        return f"it gives an array of shape {found.shape} for {texts} texts, not ({texts},)"
    if not np.isfinite(found).all():
        return "it gives numbers that are not finite"
    if gives != "embedding" and ((found < 0) | (found > 1)).any():
        return "it gives numbers outside 0 … 1"
    return None


def _clean(text: str) -> str:
    """What can be sent: half a surrogate pair, which JSON may hold, can't."""
    return text if text.isascii() else text.encode(errors="replace").decode()
