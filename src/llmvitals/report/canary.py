"""`canary show`: an arm beside its control, metric by metric, from the store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.show import labelled
from llmvitals.metrics.columns import CANARY
from llmvitals.report.drift import chosen, span_of, told
from llmvitals.report.plot import columns, interval, spark
from llmvitals.store.stored import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from llmvitals.settings import Settings

_OTHERS: Final = ("view", "window", "rule", "metric", "arm", "control")
_DIFFERENCES: Final = ("score", "top_score")
"""What metrics whose effect is a difference begin with; that of all others is a ratio."""
_WIDE: Final = 120
"""Characters of a line in which intervals are drawn, too."""


@dataclass(frozen=True, slots=True)
class MetricCourse:
    """One metric of a comparison, in the order of time: event time (µs) and fields."""

    metric: str
    points: Sequence[tuple[int, Mapping[str, Any]]]

    @property
    def newest(self) -> Mapping[str, Any]:
        """The fields of the last point."""
        return self.points[-1][1]

    @property
    def none(self) -> float:
        """What an effect is where there is none."""
        return 0.0 if self.metric.startswith(_DIFFERENCES) else 1.0

    @property
    def evidence(self) -> list[tuple[int, float]]:
        """log10 of the evidence over time."""
        return [(at, fields["log10_e"]) for at, fields in self.points if fields.get("log10_e") is not None]

    @property
    def worse(self) -> bool:
        """Whether the evidence ever reached its limit."""
        limit = self.newest.get("log10_limit")
        return limit is not None and any(value >= limit for _, value in self.evidence)


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside its control in one series of a rule. begin, end: µs."""

    rule: str
    labels: Mapping[str, str]
    arm: str
    control: str
    begin: int
    end: int
    lines: Sequence[MetricCourse]


async def found(
    settings: Settings,
    since: str,
    rule: str | None,
    where: Mapping[str, str],
    *,
    clock: Callable[[], float] = time.time,
) -> list[Comparison]:
    """The comparisons since a duration ago or a time, the newest last; raises as drift.found."""
    begin, end = span_of(since, clock)
    pairs: dict[tuple[Any, ...], dict[str, list[tuple[int, Mapping[str, Any]]]]] = {}
    points = await stored(settings, CANARY, begin, end)
    for labels, tags, point in chosen(points, rule, where, _OTHERS):
        pair = pairs.setdefault((tags["rule"], labels, tags["arm"], tags["control"]), {})
        pair.setdefault(tags["metric"], []).append(point)
    made = []
    for (name, key, arm, control), metrics in pairs.items():
        lines = [MetricCourse(metric, course) for metric, course in sorted(metrics.items())]
        times = [at for line in lines for at, _ in line.points]
        made.append(Comparison(name, dict(key), arm, control, min(times), max(times), lines))
    return sorted(made, key=lambda pair: (pair.end, pair.rule, pair.arm))


def tables(pairs: Sequence[Comparison], console: Console) -> None:
    """A table for each comparison."""
    if not pairs:
        console.print("No canary was compared with anything in this time.")
    for pair in pairs:
        calls = max(pair.lines, key=lambda line: line.newest.get("arm_calls") or 0).newest
        console.print(
            Text.assemble(
                (pair.rule, "bold"), "  ", labelled(pair.labels), "  ", (pair.arm, "cyan"),
                f" ({calls.get('arm_calls') or 0:,} calls) against ", (pair.control, "cyan"),
                f" ({calls.get('control_calls') or 0:,})",
            )
        )  # fmt: skip
        console.print(_table(pair, wide=console.width >= _WIDE), "")


def _table(pair: Comparison, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0))
    table.add_column("metric", no_wrap=True)
    for name in (pair.arm, pair.control, "effect", "interval"):
        table.add_column(Text(name), justify="right", no_wrap=True)
    if wide:
        table.add_column("less        same        more", no_wrap=True)
    table.add_column("evidence, of its limit", no_wrap=True)
    for line in pair.lines:
        fields = line.newest
        limit = fields.get("log10_limit") or 1.0
        drawn = columns(line.evidence, pair.begin, pair.end + 1, 24 if wide else 12)
        e, colour = fields.get("log10_e"), "red" if line.worse else "cyan"
        grown = [value if value is None else max(value, 0.0) for value in drawn]
        table.add_row(
            Text(line.metric, "red" if line.worse else ""),
            _number(fields.get("arm_value")),
            _number(fields.get("control_value")),
            _effect(line, fields.get("effect")),
            f"{_effect(line, fields.get('effect_low'))} – {_effect(line, fields.get('effect_high'))}",
            *([Text(_bar(line), "red" if line.worse else "")] if wide else []),
            Text.assemble(
                (spark(grown, limit), colour), f" {max(e, 0) / limit:.0%}" if e is not None else " –"
            ),
        )  # fmt: skip
    return table


def plain(pairs: Sequence[Comparison]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "rule": pair.rule,
            "labels": dict(pair.labels),
            "arm": pair.arm,
            "control": pair.control,
            "metrics": [
                {"metric": line.metric, "points": list(map(told, line.points))} for line in pair.lines
            ],
        }
        for pair in pairs
    ]


def _bar(line: MetricCourse) -> str:
    fields = line.newest
    ends = [fields.get(name) for name in ("effect_low", "effect", "effect_high")]
    if None in ends:
        return ""
    low, middle, high = (float(end) for end in ends if end is not None)
    # The scale reaches to twice as much, or as far as this metric's middle does.
    reach = max(1.0 if line.none else 0.1, abs(middle - line.none) * 1.25)
    return interval(low, middle, high, scale=(line.none, reach), width=27)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _effect(line: MetricCourse, value: float | None) -> str:
    if value is None:
        return "–"
    return f"×{value:.2f}" if line.none else f"{value:+.3f}"
