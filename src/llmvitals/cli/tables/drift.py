"""The drift of series as charts, their references and the comparisons of canaries as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.show import labelled, when
from llmvitals.console import plain_table
from llmvitals.metrics.columns import GREATEST
from llmvitals.metrics.quantity import span
from llmvitals.report.canary import NOTABLE
from llmvitals.window import DAY, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from llmvitals.report.canary import Comparison, MetricCourse
    from llmvitals.report.drift import Course, Found

FEW: Final = 0.3
"""The share of a new topic above which the calls are called too few."""
WITHIN: Final = "6 h"
WEEK: Final = 7 * DAY
MONTH: Final = 30 * DAY
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"

_WIDE: Final = 120
"""Characters of a line from which on intervals are drawn, too."""


def columns(course: Sequence[tuple[int, float]], begin: int, end: int, width: int) -> list[float | None]:
    """Return the greatest value in each of several equal spans of time, None if a span has none."""
    found: list[float | None] = [None] * width
    for at, value in course:
        place = min((at - begin) * width // max(end - begin, 1), width - 1)
        if place >= 0:
            had = found[place]
            found[place] = value if had is None else max(had, value)
    return found


def spark(values: Sequence[float | None], top: float) -> str:
    """Draw one line of blocks, from 0 to top; a dot is a missing value."""
    return "".join("·" if value is None else _EIGHTHS[_level(value, top, 8)] for value in values)


def bars(values: Sequence[float | None], limit: float, rows: int = 7) -> list[Text]:
    """Draw bars, `rows` lines high, with the limit as a line across; parts beyond it are red."""
    top = max([limit * 1.25, *(value for value in values if value is not None)])
    edge = min(int(limit / top * rows), rows - 1)
    lines = []
    for row in reversed(range(rows)):
        line = Text(no_wrap=True)
        for value in values:
            level = 0 if value is None else _level(value, top, rows * 8) - row * 8
            block = _EIGHTHS[max(min(level, 8), 0)]
            if block == " ":
                line.append("╌" if row == edge else "·" if value is None and not row else " ", "red dim")
            else:
                line.append(block, "red" if value is not None and value > limit else "cyan")
        lines.append(Text.assemble((f"{(row + 1) / rows * top:6.2f} ", "dim"), line))
    return lines


def interval(low: float, middle: float, high: float, *, scale: tuple[float, float], width: int) -> str:
    """Draw an error bar on a scale, with its first number (`none`) marked; it is cut at the scale's ends."""
    none, reach = scale

    def place(value: float) -> int:
        share = 0.5 + (value - none) / (2 * reach)
        return round(min(max(share, 0.0), 1.0) * (width - 1))

    first, last = place(low), place(high)
    drawn = ["─" if first <= n <= last else " " for n in range(width)]
    drawn[place(none)] = "┼" if first <= place(none) <= last else "│"
    drawn[first], drawn[last] = "├", "┤"
    drawn[place(middle)] = "●"
    return "".join(drawn)


def _level(value: float, top: float, steps: int) -> int:
    return min(max(round(value / top * steps), 1 if value > 0 else 0), steps)


def print_charts(seen: Found, console: Console) -> None:
    """Print a chart for each series."""
    if not seen.courses:
        console.print("No rule of drift has said anything in this time.")
    for course in seen.courses:
        console.print(title(course))
        console.print(head(course))
        drawn = course.of("statistic")
        if not drawn:
            console.print()
            continue
        width = max(min(console.width - 9, 120), 20)
        begin = max(seen.begin, min(at for at, _ in drawn) - MINUTE)
        end, limit = drawn[-1][0], course.newest.get("threshold") or 1.0
        for line in bars(columns(drawn, begin, end + 1, width), limit):
            console.print(line)
        left, right = when(begin), when(end)
        console.print(Text(f"       {left}{right.rjust(width - len(left))}\n", "dim"))


def title(course: Course) -> Text:
    """Return rule and series."""
    return Text.assemble((course.rule, "bold"), "  ", labelled(course.labels))


def head(course: Course) -> Text:
    """Return the newest statistics of a series."""
    fields = course.newest
    statistic = fields.get("statistic")
    if statistic is None:
        return Text(_learning(course))
    limit = fields.get("threshold") or 1.0
    colour = "red" if statistic > limit else "yellow" if statistic > 0.7 * limit else "green"
    return Text.assemble(
        (f"{statistic:.2f}", colour),
        f" of {limit:g} ({_heads(fields)})"
        f" · reference {span(round((fields.get('reference_age_s') or 0) * SECOND))} old,"
        f" {fields.get('reference_calls') or 0:,} calls of {_model(fields)}"
        f" · φ {fields.get('overdispersion') or 0:.2f}",
        *(f"\n{line}" for line in _sight(fields)),
    )


def _learning(course: Course) -> str:
    """How far the learning is, and how long it takes at this traffic."""
    fields, shares = course.newest, course.of("learned_share")
    text = f"learning, from {fields.get('reference_calls') or 0:,} calls so far of {_model(fields)}"
    if not shares:
        return text
    (begin, first), (end, last) = shares[0], shares[-1]
    text += f" · {last:.0%} done"
    if last <= first:
        return text
    left = round((1 - last) / (last - first) * (end - begin))
    few = "too few calls: " if left > MONTH else ""
    return f"{text}, {few}about {span(left)} more at this traffic"


def _heads(fields: Mapping[str, Any]) -> str:
    """The heads that look, each in units of its own limit."""
    return ", ".join(
        f"{name} {fields[name]:.2f}"
        if fields.get(name) is not None
        else f"{name} learns this hour of the week"
        for name in ("topics", "shape", "unusual")
        if name != "unusual" or fields.get(name) is not None
    )


def _sight(fields: Mapping[str, Any]) -> Iterator[str]:
    """What it can see at its traffic, and what its limits rest on."""
    share, learned = fields.get("visible_share"), fields.get("limits_learned_s")
    if share is not None and share > FEW:
        yield f"too few calls: only a new topic of more than {share:.0%} of them is found within {WITHIN}"
    elif share is not None:
        yield f"finds a new topic of {max(share, 0.01):.0%} of the calls within {WITHIN}"
    if learned:
        short = "" if learned * SECOND >= WEEK else ": too short to know the rarest hours of a month"
        yield f"limits rest on {span(round(learned * SECOND))} of calls{short}"


def print_references(seen: Found, console: Console) -> None:
    """Print a table of the references."""
    if not seen.courses:
        console.print("No rule of drift has said anything in this time.")
        return
    figures = ("calls", "φ", "statistic", "threshold")
    table = plain_table("rule", "series", "reference", "model", figures=figures)
    for course in seen.courses:
        fields = course.newest
        there = fields.get("statistic") is not None
        age = span(round((fields.get("reference_age_s") or 0) * SECOND))
        table.add_row(
            course.rule,
            labelled(course.labels),
            f"{age} old" if there else "learning",
            _model(fields),
            f"{fields.get('reference_calls') or 0:,}",
            f"{fields['overdispersion']:.2f}" if fields.get("overdispersion") is not None else "–",
            f"{fields['statistic']:.2f}" if there else "–",
            f"{fields.get('threshold') or 1.0:g}",
        )
    console.print(table)


def _model(fields: Mapping[str, Any]) -> str:
    return str(fields.get("model") or "an unknown model")


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
        for text in _visible_effects(pair):
            console.print(Text(text))
        console.print()


def _visible_effects(pair: Comparison) -> Iterator[str]:
    """What the comparison could see at its traffic."""
    if pair.cluster:
        yield f"Evidence counted by {pair.cluster}."
    seen = [f"{line.metric} {_from(line)}" for line in pair.lines if line.visible and not line.blind]
    blind = [f"{line.metric} {_from(line)}" for line in pair.lines if line.blind]
    if seen:
        yield f"Found within a day, a week from: {'; '.join(seen)}."
    if blind:
        yield f"+{NOTABLE - 1:.0%} would not be found within a week, only: {'; '.join(blind)}."


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
