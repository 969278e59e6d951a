"""Minutes of two and more arms by chance, and a walk of them through the rule `canary`, for tests of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from llmvitals.record.alert import Alert
from llmvitals.record.point import Point
from llmvitals.record.vitals import Vitals, merged
from llmvitals.rules.engine import RuleEngine, load_engine
from llmvitals.sketch import counters, quantiles
from llmvitals.sketch.cells import CELLS, COLUMN, FIRST_BIN, Cells

SECOND = 1_000_000
PANE = 10 * SECOND
MINUTE = 60 * SECOND
DAY = 1_440
FIRST = 29_000_000
"""The first minute of all tests."""
Minute = tuple[int, dict[str, Vitals]]
"""When (counted from FIRST), and what each arm held."""


def arm(
    calls: int,
    *,
    ms: Iterable[float] = (),
    dollars: Iterable[float] = (),
    tokens: Iterable[float] = (),
    scores: Mapping[str, Iterable[float]] | None = None,
    cells: np.ndarray | None = None,
    by: str = "user",
    **sums: int,
) -> Vitals:
    """What calls add up to: their times, prices (0: free), tokens in and scores; further sums.

    cells: of each call (see sketch.cells), by default anywhere; further sums are of the first calls. by: what
    the cells are the hashes of.
    """
    times, prices = np.array([*ms], float), np.array([*dollars], float)
    logs = np.rint(np.log(prices[prices > 0] * 1e9) / counters.LOG_UNIT).astype(int)
    words = np.rint(np.log1p(np.array([*tokens], float)) / counters.LOG_UNIT).astype(int)
    sums = {
        "calls": calls,
        "latency_count": len(times),
        "priced_calls": len(prices),
        "free_calls": int((prices == 0).sum()),
        "cost_nano": round(float(prices.sum()) * 1e9),
        "log_cost": int(logs.sum()),
        "log_cost_square": int((logs**2).sum()),
        "usage_calls": len(words),
        "input_tokens": int(np.sum([*tokens])),
        "log_input": int(words.sum()),
        "log_input_square": int((words**2).sum()),
        **sums,
    }
    bins = quantiles.bin_keys("latency_ms", times)
    keys, counts = np.unique(bins, return_counts=True)
    said = {name: np.rint(np.array([*values]) * 1e6) for name, values in (scores or {}).items()}
    return Vitals(
        tuple(sums.get(name, 0) for name in counters.SUMS),
        bins=(keys.astype(np.uint16), counts.astype(np.int64)),
        scores={
            name: (len(each), int(each.sum()), int(np.rint(each**2 / 1e6).sum()))
            for name, each in said.items()
        },
        cells=in_cells(
            anywhere(
                calls,
                [*sums.values(), *(int(each.sum() * 1e6) for each in said.values()), int(times.sum() * 1e6)],
            )
            if cells is None
            else cells,
            {
                "paid_calls": prices > 0,
                "priced_calls": prices >= 0,
                "log_cost": logs_of(prices),
                "log_input": words,
                f"{by}_calls": np.ones(calls),
            }
            | {name: np.arange(number) * 0 + 1 for name, number in sums.items() if name in EVENTS},
            bins,
            said,
        ),
    )


def anywhere(calls: int, seed: int | list[int]) -> np.ndarray:
    """A cell for each call, by chance."""
    return np.random.default_rng(seed).integers(CELLS, size=calls)


def seed_of(dice: np.random.Generator) -> int:
    """A seed that depends on what was drawn so far, and changes nothing of what will be."""
    return int(dice.bit_generator.state["state"]["state"]) % 2**63


EVENTS = ("errors", "toxicity_count", "toxic_calls", "refused_calls", "guardrail_blocks")


def logs_of(prices: np.ndarray) -> np.ndarray:
    return np.rint(np.log(np.maximum(prices * 1e9, 1)) / counters.LOG_UNIT).astype(int)


def in_cells(
    cells: np.ndarray, columns: Mapping[str, np.ndarray], bins: np.ndarray, scores: Mapping[str, np.ndarray]
) -> Cells | None:
    """The cells of calls; each column, the bins of times and the scores are of the first calls."""
    if not len(cells):
        return None
    values = {"calls": np.ones(len(cells)), "usage_calls": np.ones(len(columns["log_input"])), **columns}
    of = [COLUMN[name] * CELLS + cells[: len(column)] for name, column in values.items()]
    keys, places = np.unique(
        np.concatenate([*of, (FIRST_BIN + bins) * CELLS + cells[: len(bins)]]), return_inverse=True
    )
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, places, np.concatenate([*values.values(), np.ones(len(bins))]).astype(np.int64))
    keys, sums = keys[sums > 0], sums[sums > 0]
    found = {}
    for name, each in scores.items():
        inside = cells[: len(each)]
        counts = np.bincount(inside, minlength=CELLS)
        micro = np.zeros(CELLS, np.int64)
        np.add.at(micro, inside, each.astype(np.int64))
        there = np.flatnonzero(np.tile(counts > 0, 2))
        found[name] = (there.astype(np.uint32), np.concatenate((counts, micro))[there])
    return Cells((keys.astype(np.uint32), sums), found)


def rule_engine(folder: Any, condition: str = "{on: prompt_version, by: []}") -> RuleEngine:
    """The rule, read from a file."""
    text = f"groups:\n- name: g\n  rules:\n  - alert: A\n    canary: {condition}\n"
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    return load_engine(folder, PANE)


class Walk:
    """The rule at one series. alerts, points: all that was said."""

    def __init__(self, rules: RuleEngine, series: tuple[str, ...] = ()) -> None:
        self.rules, self.series = rules, series
        self.state: dict[str, Any] = {}
        self.alerts: list[Alert] = []
        self.points: list[Point] = []
        self.saved = False

    def go(self, minutes: Iterable[Minute], batch: Callable[[], int] = lambda: 6) -> Walk:
        """Minutes, each in a pane of its own; batch: how many panes close at once."""
        panes = [((FIRST + at) * 6 + at % 6, arms) for at, arms in minutes]
        while panes:
            some = batch()
            closed = [(pane, _whole(arms)) for pane, arms in panes[:some] if arms]
            self._advance(panes[:some][-1][0] + 1, closed)
            del panes[:some]
        return self

    def wait(self, minute: int) -> Walk:
        """Nothing is called until this minute."""
        self._advance((FIRST + minute) * 6, [])
        return self

    def _advance(self, floor: int, closed: list[tuple[int, Vitals]]) -> None:
        if self.saved:
            self.state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.state))
        (view,) = [view for view in self.rules.views if view.split]
        said = self.rules.advance(view.name, self.series, self.state, floor=floor, closed=closed)
        self.alerts += [each for each in said if isinstance(each, Alert) and not each.update]
        self.points += [each for each in said if isinstance(each, Point)]

    def last(self, metric: str) -> Point:
        """The last point of a metric."""
        return [point for point in self.points if point.tags["metric"] == metric][-1]


def _whole(arms: dict[str, Vitals]) -> Vitals:
    whole = merged([*arms.values()])
    return Vitals(whole.sums, whole.maxima, whole.bins, scores=whole.scores, arms=arms)


def failing(dice: np.random.Generator, calls: float, share: float) -> Vitals:
    """A minute of an arm: about so many calls, of which each fails with this chance."""
    number = int(dice.poisson(calls))
    errors = int(dice.binomial(number, share))
    return arm(number, errors=errors, cells=anywhere(number, seed_of(dice)))


def rollout(
    dice: np.random.Generator, minutes: int, *, canary: float, control: float = 0.02, start: int = 10
) -> list[Minute]:
    """v1 with 100 calls a minute, and from a minute on v2 with 5; their chances to fail."""
    found = []
    for at in range(minutes):
        arms = {"v1": failing(dice, 100, control)}
        if at >= start:
            arms["v2"] = failing(dice, 5, canary)
        found.append((at, {name: each for name, each in arms.items() if each.total("calls")}))
    return found
