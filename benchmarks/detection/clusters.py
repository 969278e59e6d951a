"""A canary whose calls depend on each other: how often it alarms for nothing, and how soon it finds a change.

`python -m benchmarks.detection.clusters [--runs 300] [--json OUT.json] [NAME …]`: a week of two arms, looked
at whenever a block of time closes, at α = 1 % for one metric. Volume and error rate swing over the day and
from hour to hour, in both arms alike. Errors come in bursts of one session; or users bring errors each at a
rate of their own and stay in one arm. `independent` is the e-process that takes calls for independent;
`llmvitals` weighs calls by what has failed in their cell of late, and divides the evidence by the φ of its
clusters. Of a cost the rows are of the confidence sequence, without weights.

Calls come by a Poisson process for each user, so those of all users in a cell of an arm are drawn at once.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.kinds.canary.comparison import FEW, block_minutes
from llmvitals.sketch.cells import CELLS, PARTS
from llmvitals.stats import clusters, confseq, eprocess, recent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALPHA: Final = 0.01
BASE: Final = 0.02
BURST: Final = 20
STEP: Final = 5
DAY: Final = 1_440
WEEK: Final = 7 * DAY


@dataclass(frozen=True, slots=True)
class Traffic:
    """A week of calls of two arms.

    calls: a day, of both. share: of them the canary's. users, uneven: how many, and the standard deviation of
    the logarithm of how much they call. sticky: whether users stay in one arm: all, or the share `stay`.
    differ: the coefficient of variation of users' error rates (of costs: the standard deviation of their mean
    logarithm). bursts: the share of errors in bursts of BURST, each of one session within `minutes`.
    sessions: whether these are not of the users who call most. length: the calls of a session in the mean,
    which calls name; half of the errors come in sessions of which every second call fails; 0: calls name
    their user only. ratio, effect: of error rates or costs, true and allowed. sigma: of the logarithm of a
    cost; 0: errors are compared.
    """

    calls: float = 20_000
    share: float = 0.1
    users: int = 2_000
    uneven: float = 1.5
    sticky: bool = False
    stay: float = 1.0
    differ: float = 0.0
    bursts: float = 0.0
    minutes: int = 1
    sessions: bool = False
    length: float = 0.0
    ratio: float = 1.0
    effect: float = 0.0
    sigma: float = 0.0

    @property
    def block(self) -> int:
        """The most minutes of a block."""
        smaller = self.calls * min(self.share, 1 - self.share)
        return self.step * (block_minutes(DAY, max(1, int(smaller))) // self.step)

    @property
    def step(self) -> int:
        """The minutes whose calls are drawn, and weighed, at once."""
        smaller = self.calls * min(self.share, 1 - self.share)
        return max(1, min(STEP, block_minutes(DAY, max(1, int(smaller))) // 2))


_STICKY: Final = Traffic(sticky=True, differ=1.0)
TRAFFIC: Final = {
    "null": Traffic(),
    "null/bursts-25%": Traffic(bursts=0.25),
    "null/bursts-50%": Traffic(bursts=0.5),
    "null/bursts-100%": Traffic(bursts=1.0),
    "null/bursts-100%-session": Traffic(bursts=1.0, sessions=True),
    "null/bursts-50%-ten-minutes": Traffic(bursts=0.5, minutes=10, sessions=True),
    "null/bursts-50%-hour": Traffic(bursts=0.5, minutes=60, sessions=True),
    "null/sticky-200": replace(_STICKY, users=200),
    "null/sticky-2000": _STICKY,
    "null/sticky-40-uneven": replace(_STICKY, users=40, uneven=2.0, differ=0.5),
    "null/sticky-200-half": replace(_STICKY, users=200, share=0.5),
    "null/sticky-2000-bursts-50%": replace(_STICKY, bursts=0.5, differ=0.5),
    "null/1:99": Traffic(share=0.01),
    "null/1:99-bursts-50%": Traffic(share=0.01, bursts=0.5),
    "null/1:99-bursts-100%": Traffic(share=0.01, bursts=1.0),
    "null/1:99-sticky-2000": replace(_STICKY, share=0.01),
    "null/9:1-bursts-50%": Traffic(share=0.9, bursts=0.5),
    "null/half-bursts-50%": Traffic(share=0.5, bursts=0.5),
    "null/half-bursts-50%-hour": Traffic(share=0.5, bursts=0.5, minutes=60, sessions=True),
    "null/6:4-bursts-50%": Traffic(share=0.38, bursts=0.5),
    "null/9:1-bursts-100%": Traffic(share=0.9, bursts=1.0),
    "null/9:1-sticky-200": replace(_STICKY, share=0.9, users=200),
    "null/500-a-day-sticky-100": replace(_STICKY, calls=500, share=0.5, users=100),
    "null/sessions": Traffic(users=200, differ=1.0, length=5),
    "null/sessions-40-uneven": Traffic(users=40, uneven=2.0, differ=1.0, length=12),
    "null/sessions-1:99": Traffic(users=200, differ=1.0, length=5, share=0.01),
    "null/sessions-half": Traffic(users=40, uneven=2.0, differ=1.0, length=12, share=0.5),
    "null/sessions-of-sticky-200": replace(_STICKY, users=200, length=5),
    "null/sessions-of-sticky-2000": replace(_STICKY, length=5),
    "null/sessions-of-sticky-40-uneven": replace(_STICKY, users=40, uneven=2.0, length=12),
    "null/sessions-of-some-sticky-200": replace(_STICKY, users=200, length=5, stay=0.25),
    "null/sessions-of-some-sticky-40": replace(_STICKY, users=40, uneven=2.0, length=5, stay=0.25),
    "null/cost-2": Traffic(sigma=2.0, differ=0.5),
    "null/cost-2-1:99": Traffic(sigma=2.0, share=0.01),
    "null/cost-2-sticky-200": replace(_STICKY, users=200, sigma=2.0),
    "null/cost-1-sticky-200": replace(_STICKY, users=200, sigma=1.0, differ=0.5),
    "null/cost-2-sticky-2000": replace(_STICKY, sigma=2.0, differ=0.5),
    "null/cost-1-sticky-200-1:99": replace(_STICKY, users=200, sigma=1.0, differ=0.5, share=0.01),
    "worse/2x": Traffic(ratio=2.0),
    "worse/2x-effect-10%": Traffic(ratio=2.0, effect=0.1),
    "worse/1.5x": Traffic(ratio=1.5),
    "worse/1.5x-effect-10%": Traffic(ratio=1.5, effect=0.1),
    "worse/2x-sticky-2000-effect-10%": Traffic(ratio=2.0, sticky=True, differ=0.5, effect=0.1),
    "worse/2x-bursts-25%-effect-10%": Traffic(ratio=2.0, bursts=0.25, effect=0.1),
    "worse/2x-40-users-effect-10%": Traffic(ratio=2.0, users=40, uneven=2.0, effect=0.1),
    "worse/2x-sessions-effect-10%": Traffic(ratio=2.0, effect=0.1, users=200, differ=0.5, length=5),
    "worse/2x-sessions-of-40-effect-10%": Traffic(
        ratio=2.0, effect=0.1, users=40, uneven=2.0, differ=0.5, length=5
    ),
    "worse/3x-500-a-day-half": Traffic(calls=500, share=0.5, users=200, ratio=3.0),
    "worse/3x-500-a-day-half-effect-10%": Traffic(calls=500, share=0.5, users=200, ratio=3.0, effect=0.1),
    "worse/cost-2-1.25x-effect-10%": Traffic(ratio=1.25, effect=0.1, sigma=2.0, differ=0.5),
    "worse/cost-1-1.25x-effect-10%": Traffic(ratio=1.25, effect=0.1, sigma=1.0, differ=0.5),
}


@dataclass(slots=True)
class Users:
    """For each run, arm and cell: the calls a day, and their mean rate (of costs: logarithm)."""

    calls: Floats
    rate: Floats
    bursts: Floats

    @classmethod
    def drawn(cls, dice: np.random.Generator, traffic: Traffic, runs: int) -> Users:
        """Draw the users of each run."""
        shape = runs, traffic.users
        weight = np.exp(dice.normal(0, traffic.uneven, shape))
        weight *= traffic.calls / weight.sum(axis=1, keepdims=True)
        level = _levels(dice, traffic, shape)
        in_canary: Floats = np.full(shape, traffic.share)
        if traffic.sticky:
            drawn = dice.random(shape) < traffic.share
            drawn[:, 0] |= ~drawn.any(axis=1)
            drawn[:, 1] &= ~drawn.all(axis=1)
            in_canary = np.where(dice.random(shape) < traffic.stay, drawn, in_canary)
        cell = dice.integers(CELLS // PARTS, size=shape) * PARTS + CELLS * np.arange(runs)[:, None]
        made: list[tuple[Floats, Floats]] = []
        for part in (1.0 - in_canary, 1.0 * in_canary):
            often: Floats = _summed(cell, weight * part)
            mean: Floats = _summed(cell, weight * part * level) / np.maximum(often, 1e-12)
            if traffic.length:  # so far each user is in one cell; the sessions are in all that are the user's
                often, mean = _repeated(often / PARTS), _repeated(mean)
            made.append((often, mean))
        calls: Floats = np.stack([each[0] for each in made], axis=1)
        rate: Floats = np.stack([each[1] for each in made], axis=1)
        even: Floats = np.broadcast_to(calls.mean(axis=2, keepdims=True), calls.shape)
        return cls(calls, rate, even if traffic.sessions else calls)


def _summed(cell: NDArray[np.int64], values: Floats) -> Floats:
    """By run and cell the sums of values by run and user."""
    size = len(cell), CELLS
    return np.bincount(cell.ravel(), values.ravel(), size[0] * size[1]).reshape(size).astype(float)


def _repeated(cells: Floats) -> Floats:
    """What each user's first cell has, in all of the user's cells."""
    return np.repeat(cells[:, ::PARTS], PARTS, axis=1)


def _levels(dice: np.random.Generator, traffic: Traffic, shape: tuple[int, int]) -> Floats:
    if traffic.sigma:
        return dice.normal(0, traffic.differ, shape)
    if not traffic.differ:
        return np.full(shape, BASE)
    a = max((1 - BASE) / traffic.differ**2 - BASE, 0.02)
    return dice.beta(a, a * (1 - BASE) / BASE, shape)


def blocks(dice: np.random.Generator, traffic: Traffic, runs: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """For each step: calls, errors (or logarithms of costs) and their squares, by run, arm and cell."""
    users, length = Users.drawn(dice, traffic, runs), traffic.step
    times = np.array([1.0, traffic.ratio])[:, None]
    lasting = max(1, traffic.minutes // length)
    under_way: list[list[tuple[int, ...]]] = [[] for _ in range(WEEK // length + lasting)]
    hour, of_hour = np.ones((runs, 1, 1)), -1
    for number in range(WEEK // length):
        minute = number * length
        swing = 1 + 0.6 * np.sin(2 * np.pi * minute / DAY)
        if minute // 60 != of_hour:
            hour, of_hour = dice.gamma(10, 0.1, (runs, 1, 1)), minute // 60
        mean = users.calls * (length / DAY * swing)
        if traffic.sigma:
            n = dice.poisson(mean).astype(float)
            level = users.rate + 0.4 * np.sin(2 * np.pi * minute / DAY) + np.log(times)
            noise = dice.standard_normal(n.shape) * np.sqrt(n)
            yield n, n * level + traffic.sigma * noise, _squares(dice, n, level, noise, traffic.sigma)
            continue
        rate = np.minimum(users.rate * hour * swing * times, 0.95)
        if traffic.length:
            yield _in_sessions(dice, mean, rate, traffic.length)
            continue
        failed = dice.poisson(mean * rate * (1 - traffic.bursts)).astype(float)
        n = failed + dice.poisson(mean * (1 - rate * (1 - traffic.bursts)))
        if traffic.bursts:
            often = users.bursts * hour * times * (length / DAY * swing**2 * BASE * traffic.bursts / BURST)
            begun = dice.poisson(often)
            for place in zip(*np.nonzero(begun), strict=True):
                for later in dice.integers(lasting, size=BURST * int(begun[place])):
                    under_way[number + later].append(place)
            if under_way[number]:
                at = tuple(np.array(under_way[number]).T)
                np.add.at(failed, at, 1)
                np.add.at(n, at, 1)
        yield n, failed, failed


def _in_sessions(
    dice: np.random.Generator, mean: Floats, rate: Floats, length: float
) -> tuple[Floats, Floats, Floats]:
    """Calls, errors and errors once more of a step, in sessions that are over within it."""
    begun = dice.poisson(mean / length)
    failing = dice.binomial(begun, rate)
    bad, good = (
        part + dice.negative_binomial(np.maximum(part, 1), 1 / length) * (part > 0)
        for part in (failing, begun - failing)
    )
    failed = (dice.binomial(bad, 0.5) + dice.binomial(good, rate / 2)).astype(float)
    return (bad + good).astype(float), failed, failed


def _squares(dice: np.random.Generator, n: Floats, level: Floats, noise: Floats, sigma: float) -> Floats:
    """The sums of squares of n normal values whose sum is known."""
    inner = np.where(n > 1, dice.chisquare(np.maximum(n - 1, 1e-9)), 0.0)
    mean = level + sigma * noise / np.maximum(n, 1)
    return n * mean**2 + sigma**2 * inner


@dataclass(slots=True)
class _Known:
    """What all runs know. raw, logs: of eprocess, without and with weights; states: of confseq."""

    tally: clusters.Tally
    raw: Floats
    logs: Floats
    states: list[confseq.State] = field(default_factory=list)


@dataclass(slots=True)
class Looks:
    """All runs of one traffic: what they know, and when each method alarmed first (hours, ∞: never)."""

    traffic: Traffic
    runs: int
    independent: Floats = field(init=False)
    clustered: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.independent, self.clustered = np.full(self.runs, np.inf), np.full(self.runs, np.inf)

    def go(self, seed: int) -> None:
        """Simulate."""
        dice, runs = np.random.default_rng(seed), self.runs
        null = 1 + self.traffic.effect
        mean = bool(self.traffic.sigma)
        rows = clusters.Rows(np.full(runs, 1.0 if mean else null), np.full(runs, 1.0 - mean))
        known = _Known(clusters.Tally.empty(runs), eprocess.fresh(runs), eprocess.fresh(runs))
        known.states = [confseq.State()] * runs
        memory, size = recent.Recent.empty(runs), self.traffic.block // self.traffic.step
        block, weighed, age = np.zeros((3, 2, runs)), np.zeros((2, 2, runs, CELLS)), np.zeros(runs, int)
        for number, step in enumerate(blocks(dice, self.traffic, runs)):
            n, k = (part.transpose(1, 0, 2) for part in step[:2])
            weights = np.ones((runs, CELLS))
            if not mean:
                weights = recent.weights(memory, number * self.traffic.step)
                memory = recent.step(memory, number * self.traffic.step, n.sum(axis=0), k.sum(axis=0))
            block += np.stack(step).sum(axis=3).transpose(0, 2, 1)
            weighed += np.stack((n, k)) * weights
            age += 1
            over = (age >= size) | (block[0].min(axis=0) >= FEW)
            if not over.any():
                continue
            ended, by_weight = block * over, weighed * over[:, None]
            known.tally = clusters.step(known.tally, rows, *by_weight)
            if mean:
                for run in np.flatnonzero(over).tolist():
                    a, b = (tuple(ended[:, arm, run]) for arm in (0, 1))
                    known.states[run] = confseq.step(known.states[run], a, b)
            else:
                known.raw = eprocess.step(known.raw, ended[0], ended[1], null)
                calls, events = by_weight.sum(axis=3)
                known.logs = eprocess.step(known.logs, calls, events, null)
            self._look((number + 1) * self.traffic.step / 60, known, rows)
            block[:, :, over], weighed[:, :, over], age[over] = 0, 0, 0

    def _look(self, at: float, known: _Known, rows: clusters.Rows) -> None:
        bar, mean = -np.log(ALPHA), bool(self.traffic.sigma)
        logs = known.logs
        self.independent[(self._evidence(known, known.raw, None) >= bar) & np.isinf(self.independent)] = at
        hot = (self._evidence(known, logs, None) >= np.log(np.expm1(bar))) & np.isinf(self.clustered)
        if not hot.any():
            return
        found = clusters.noise(known.tally, rows, ALPHA)
        told = self._evidence(known, logs if mean else logs / found.phi[:, None], found.clustered)
        self.clustered[hot & (told >= bar)] = at

    def _evidence(self, known: _Known, logs: Floats, clustered: Floats | None) -> Floats:
        if not self.traffic.sigma:
            return eprocess.evidence(logs)
        allowed = float(np.log1p(self.traffic.effect))
        variances = np.zeros(self.runs) if clustered is None else clustered
        told: Floats = np.array(
            [
                confseq.evidence(state, allowed, ALPHA, clustered=float(variance))
                for state, variance in zip(known.states, variances, strict=True)
            ]
        )
        return told

    def row(self, name: str) -> dict[str, Any]:
        """What was found."""
        row: dict[str, Any] = {"name": f"clusters/{name}", "runs": self.runs}
        for method, first in (("independent", self.independent), ("llmvitals", self.clustered)):
            row[f"{method}_share"] = round(float(np.isfinite(first).mean()), 4)
            if name.startswith("worse"):
                row[f"{method}_median_hours"] = round(float(np.median(first)), 1)
        return row


def run(names: Sequence[str], runs: int, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each traffic."""
    for place, name in enumerate(TRAFFIC):
        if not names or name in names:
            looks = Looks(TRAFFIC[name], runs)
            looks.go(seed + place)
            yield looks.row(name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection.clusters",
        description=__doc__.replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(TRAFFIC).replace("%", "%%"))
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    given = parser.parse_args()
    rows = []
    for row in run(given.names, given.runs, given.seed):
        rows.append(row)
        print(json.dumps(row, ensure_ascii=False), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
