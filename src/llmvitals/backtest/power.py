"""What rules can see: reads calls, and asks each rule for the smallest change that it would find."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.backtest.run import batches, opened
from llmvitals.merge.plan import NoRules
from llmvitals.metrics.registry import METRICS
from llmvitals.pipeline import Pipeline
from llmvitals.record.vitals import Vitals, merged
from llmvitals.rules.condition.power import Traffic
from llmvitals.rules.shared_rules import shared
from llmvitals.sketch import counters, quantiles
from llmvitals.window import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.rules.condition.power import Power
    from llmvitals.rules.engine import RuleEngine
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

_FILE: Final = "power"
_TOGETHER: Final = 64
AMOUNTS: Final = {
    "cost_nano": 4_000_000, "input_tokens": 1_500, "output_tokens": 300,
    "latency_us": 1_150_000, "ttft_us": 1_150_000,
}  # fmt: skip
"""What a call has where none was read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule sees of a series; labels: dimension → value."""

    rule: str
    kind: str
    labels: Mapping[str, str]
    power: Power


@dataclass(slots=True)
class _Total:
    """The calls of a series so far."""

    waiting: list[Vitals] = field(default_factory=list)

    def add(self, vitals: Vitals) -> None:
        self.waiting.append(vitals)
        if len(self.waiting) >= _TOGETHER:
            self.waiting = [self.vitals]

    @property
    def vitals(self) -> Vitals:
        """The sum, with that of each arm."""
        names = dict.fromkeys(arm for each in self.waiting for arm in each.arms)
        arms = {
            name: merged([each.arms[name] for each in self.waiting if name in each.arms]) for name in names
        }
        return replace(merged(self.waiting), arms=arms)


class _Watching(NoRules):
    """Adds up the panes of each series that a rule reads."""

    def __init__(self, engine: RuleEngine) -> None:
        self.totals: dict[tuple[str, tuple[str, ...]], _Total] = {}
        self.first, self.last = 2**62, -(2**62)
        self._engine = engine

    def reads(self, view: str) -> bool:
        return self._engine.reads(view)

    def advance(  # type: ignore[override]  # fewer parameters than merge.plan.Rules
        self, view: str, series: tuple[str, ...], state: dict[str, Any], **step: Any
    ) -> list[Any]:
        """Add up; returns nothing."""
        del state
        total = self.totals.setdefault((view, series), _Total())
        for pane, vitals in step["closed"]:
            self.first, self.last = min(self.first, pane), max(self.last, pane)
            total.add(vitals)
        return []


def of_files(settings: Settings, engine: RuleEngine, names: Sequence[str]) -> tuple[list[Seen], float]:
    """What each rule sees of each series in the calls of files, and the days that these span.

    Raises ConfigError if a file is not there.
    """
    own = settings.model_copy(update={"default_views": False, "views": ()})
    sources = {f"{_FILE}/{place}": 1 for place in range(len(names))}
    pipeline, watching = Pipeline.of(own, 1, [*sources], engine=engine), _Watching(engine)
    alone = replace(pipeline, merge=replace(pipeline.merge, engine=watching)).alone(sources)
    for source, name in zip(sources, names, strict=True):
        with opened(name) as (file, _):
            for batch in batches(file):
                alone.feed(source, 0, batch)
        alone.end(source, 0)
    alone.merge.finish()
    days = max((watching.last - watching.first + 1) * engine.pane / DAY, engine.pane / DAY)
    return list(_seen(engine, watching, days)), days


def _seen(engine: RuleEngine, watching: _Watching, days: float) -> list[Seen]:
    families = Counter(view for view, _ in watching.totals)
    names = {view.name: view.home(view.by) for view in engine.views}
    found: list[Seen] = []
    for (view, series), total in watching.totals.items():
        traffic = Traffic(total.vitals, days, families[view])
        labels = dict(zip(names[view], series, strict=True))
        for rule in engine.rules.by_view.get(view, ()):
            found += of_rule(rule, traffic, labels)
    return sorted(found, key=lambda seen: (seen.rule, -seen.power.calls))


def of_rule(rule: Rule, traffic: Traffic, labels: Mapping[str, str]) -> list[Seen]:
    """What a rule sees of a series."""
    condition = shared(rule, traffic.family).condition
    return [Seen(rule.name, condition.kind, labels, power) for power in condition.power(traffic)]


def of_typical(engine: RuleEngine, calls: int, base: float, family: int) -> list[Seen]:
    """What each rule sees of a series with so many calls a day, without past calls to read.

    base: the share of them (0 … 1) of whatever is counted. Latencies and other amounts are taken to be
    lognormal, scores to lie around 0.8 with a standard deviation of 0.2.
    """
    found: list[Seen] = []
    for rule in engine.rules.rules:
        traffic = Traffic(_typical(rule, calls, base), 1.0, family)
        found += of_rule(rule, traffic, {})
    return found


def _typical(rule: Rule, calls: int, base: float) -> Vitals:
    divisors = {metric.under or metric.counted for metric in METRICS.values()} | {"calls"}
    sums = [
        calls * AMOUNTS.get(name, 1) if name in divisors | AMOUNTS.keys() else round(calls * base)
        for name in counters.SUMS
    ]
    dice, keys = np.random.default_rng(0), []
    for sketch in quantiles.SKETCHES:
        level, most = (0.1, 1.0) if sketch in quantiles.LINEAR else (900.0, 1e8)
        keys.append(quantiles.bin_keys(sketch, np.minimum(dice.lognormal(np.log(level), 0.7, calls), most)))
    numbers, counts = np.unique(np.concatenate(keys), return_counts=True)
    name = re.fullmatch(r"score\.(.+)_mean", rule.condition.metric)
    return Vitals(
        tuple(sums),
        bins=(numbers.astype(np.uint16), counts.astype(np.int64)),
        scores={name[1]: (calls, round(0.8e6 * calls), round(0.68e6 * calls))} if name else {},
    )
