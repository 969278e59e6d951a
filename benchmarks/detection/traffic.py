"""Simulated traffic: minutes of calls, each a row of the pool; always the same for a seed.

Bursty: counts are negative binomial, and a share of the calls comes in bursts, in which a user repeats a
text. Daily: the volume and the mix of topics swing over the day, each topic with its own hour. Outages: about
one a day, minutes without calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from benchmarks.detection.pool import WORDINGS

if TYPE_CHECKING:
    from benchmarks.detection.pool import Pool
    from numpy.typing import NDArray

CALLS: Final = 50
"""A minute, in the mean."""
DAY: Final = 1_440
DISPERSION: Final = 8.0
"""The variance of a minute's calls is m + m²/DISPERSION."""
SWING: Final = 0.5
"""How far the volume rises above its mean, and falls below it."""
MIX: Final = 0.3
"""The same of the logarithm of a topic's share."""
BURSTY: Final = 0.1
"""Share of the calls that come in bursts."""
BURST: Final = 5
"""Calls of a burst, in the mean; they come within 3 minutes."""
LOOPING: Final = 40
LOOP_SHARE: Final = 0.3
CHANGES: Final = ("new-topic-5%", "new-topic-10%", "new-topic-20%", "new-topics-10%", "spread", "loop")


class Traffic:
    """One series. Minutes may be asked for in any order; each is drawn when it is asked for.

    calls: a minute, in the mean. bursty: the share of them that come in bursts.
    """

    def __init__(self, pool: Pool, seed: int, *, calls: float = CALLS, bursty: float = BURSTY) -> None:
        self._calls, self._bursty = calls, bursty
        self._pool, self._dice = pool, np.random.default_rng(seed)
        self._first = np.concatenate([[0], np.cumsum(pool.sizes)[:-1]])
        self._phases = self._dice.uniform(0, 2 * np.pi, len(pool.sizes))
        self._looping = self._dice.choice(pool.known, min(LOOPING, pool.known), replace=False)
        self._bursts: list[tuple[int, int, int]] = []
        self._out_until = -1

    def minute(self, at: int, change: str = "null", topic: int = 0) -> NDArray[np.int64]:
        """Rows of the pool of the calls in minute `at` of the week, under a change; topic: which is new."""
        dice, angle = self._dice, 2 * np.pi * at / DAY
        if dice.random() < 1 / DAY:
            self._out_until = at + int(dice.integers(5, 30))
        if at <= self._out_until < at + 30:
            return np.zeros(0, np.int64)
        wanted = self._calls * (1 + SWING * np.sin(angle))
        count = dice.poisson(dice.gamma(DISPERSION, wanted * (1 - self._bursty) / DISPERSION))
        texts = np.concatenate([self._drawn(count, angle), self._burst(at, wanted, angle)])
        return self._changed(texts, change, topic % len(self._pool.new))

    def _drawn(self, count: int, angle: float) -> NDArray[np.int64]:
        """Texts of known topics, in the hour's mix."""
        weights = np.cumsum(self._pool.sizes * np.exp(MIX * np.sin(angle + self._phases)))
        topics = np.searchsorted(weights, self._dice.uniform(0, weights[-1], count), side="right")
        inside = self._dice.random(count) * self._pool.sizes[topics]
        drawn: NDArray[np.int64] = self._first[topics] + inside.astype(np.int64)
        return drawn

    def _burst(self, at: int, wanted: float, angle: float) -> NDArray[np.int64]:
        """Texts of the bursts that are under way."""
        for text in self._drawn(int(self._dice.poisson(wanted * self._bursty / BURST)), angle):
            self._bursts.append((at + 3, int(text), int(self._dice.geometric(1 / BURST))))
        said, left = [], []
        for end, text, calls in self._bursts:
            now = calls if at >= end - 1 else int(self._dice.binomial(calls, 0.5))
            said += [text] * now
            if calls > now:
                left.append((end, text, calls - now))
        self._bursts = left
        return np.array(said, np.int64)

    def _changed(self, texts: NDArray[np.int64], change: str, topic: int) -> NDArray[np.int64]:
        dice, pool = self._dice, self._pool
        wordings = dice.integers(len(WORDINGS), size=len(texts)) * pool.texts
        if change.startswith("new-topic"):
            share = float(change.rpartition("-")[2].rstrip("%")) / 100
            new = dice.random(len(texts)) < share
            several = change.startswith("new-topics")
            first = pool.known + (0 if several else int(pool.new[:topic].sum()))
            count = int(pool.new.sum() if several else pool.new[topic])
            texts = np.where(new, first + dice.integers(count, size=len(texts)), texts)
        elif change == "loop":
            looped = dice.random(len(texts)) < LOOP_SHARE
            texts = np.where(looped, dice.choice(self._looping, len(texts)), texts)
        elif change == "spread":
            wordings = wordings + pool.shrunk
        return texts + wordings
