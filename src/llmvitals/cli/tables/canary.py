"""Comparisons of canaries as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.show import labelled
from llmvitals.cli.tables.plot import columns, interval, spark
from llmvitals.metrics.columns import GREATEST
from llmvitals.report.canary import NOTABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from llmvitals.report.canary import Comparison, MetricCourse

_WIDE: Final = 120
"""Characters of a line from which on intervals are drawn, too."""


def print_comparisons(pairs: Sequence[Comparison], console: Console) -> None:
    """Print a table for each comparison."""
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
        console.print(_table(pair, wide=console.width >= _WIDE))
        for text in _visible(pair):
            console.print(Text(text))
        console.print()


def _visible(pair: Comparison) -> Iterator[str]:
    """What the comparison could see at its traffic."""
    if pair.cluster:
        yield f"Evidence counted by {pair.cluster}."
    seen = [f"{line.metric} {_from(line)}" for line in pair.lines if line.visible and not line.blind]
    blind = [f"{line.metric} {_from(line)}" for line in pair.lines if line.blind]
    if seen:
        yield f"Found within a day, a week from: {'; '.join(seen)}."
    if blind:
        yield f"Too few calls to see +{NOTABLE - 1:.0%} within a week: {'; '.join(blind)}."


def _from(line: MetricCourse) -> str:
    return ", ".join(_effect(line, each) + "+" * (each >= GREATEST) for each in line.visible or ())


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


def _bar(line: MetricCourse) -> str:
    fields = line.newest
    ends = [fields.get(name) for name in ("effect_low", "effect", "effect_high")]
    if None in ends:
        return ""
    low, middle, high = (float(end) for end in ends if end is not None)
    # The scale reaches to twice as much, or as far as this metric's middle does.
    reach = max(1.0 if line.no_effect else 0.1, abs(middle - line.no_effect) * 1.25)
    return interval(low, middle, high, scale=(line.no_effect, reach), width=27)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _effect(line: MetricCourse, value: float | None) -> str:
    if value is None:
        return "–"
    return f"×{value:.2f}" if line.no_effect else f"{value:+.3f}"
