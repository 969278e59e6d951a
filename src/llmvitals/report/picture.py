"""Charts as PNG, with matplotlib (the extra `charts`)."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmvitals.backtest.show import labelled
from llmvitals.errors import ConfigError
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmvitals.report.canary import Comparison
    from llmvitals.report.drift import Found

MOST = 12
"""Series in one picture: those that stand highest."""


def drift(seen: Found, path: Path) -> int:
    """Write the statistic of each series against its threshold; how many are in the picture.

    Raises ConfigError without matplotlib, with nothing to draw, and where the file can't be written.
    """
    drawn = [(course, course.of("statistic")) for course in seen.courses]
    drawn = sorted([one for one in drawn if one[1]], key=lambda one: -one[1][-1][1])[:MOST]
    if not drawn:
        raise ConfigError("there is nothing to draw: no series has a reference yet in this time")
    figure, axes = _figure(len(drawn), 2.2)
    for axis, (course, values) in zip(axes, drawn, strict=True):
        limit = course.newest.get("threshold") or 1.0
        for head, colour in (("topics", "tab:green"), ("shape", "tab:purple")):
            axis.plot(*_line(course.of(head)), color=colour, lw=0.7, alpha=0.7, label=head)
        axis.plot(*_line(values), color="tab:blue", lw=1.3, label="statistic")
        axis.axhline(limit, color="tab:red", ls="--", lw=1, label="threshold")
        axis.set_ylim(0, max(limit, *(value for _, value in values)) * 1.15)
        axis.set_title(f"{course.rule}: {labelled(course.labels)}", fontsize=9, loc="left", parse_math=False)
        _timed(axis)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=7, ncols=4, loc="upper right", frameon=False)
    _saved(figure, path)
    return len(drawn)


def canary(pairs: Sequence[Comparison], path: Path) -> int:
    """Write the evidence over time, and the effects with their intervals, of the newest comparisons.

    How many are in the picture. Raises as `drift`.
    """
    shown = list(pairs)[-MOST:]
    if not shown:
        raise ConfigError("there is nothing to draw: no canary was compared with anything in this time")
    figure, axes = _figure(2 * len(shown), 1.6, columns=2)
    for (left, right), pair in zip(zip(axes[::2], axes[1::2], strict=True), shown, strict=True):
        for number, line in enumerate(pair.lines):
            left.plot(*_line(line.evidence), lw=1.2, color=f"C{number % 10}", label=line.metric)
            fields = line.newest
            if None not in (ends := [fields.get(f"effect{end}") for end in ("_low", "", "_high")]):
                low, middle, high = (float(end) - line.no_effect for end in ends if end is not None)
                right.plot([low, high], [number, number], color=f"C{number % 10}", lw=1.5)
                right.plot([middle], [number], "o", color=f"C{number % 10}", ms=4)
        if (limit := pair.lines[0].newest.get("log10_limit")) is not None:
            left.axhline(limit, color="tab:red", ls="--", lw=1)
        left.set_ylabel("log10 of the evidence", fontsize=7)
        name = f"{pair.rule}: {labelled(pair.labels)} {pair.arm} against {pair.control}"
        _timed(left)
        left.set_title(name, fontsize=9, loc="left", parse_math=False)
        right.axvline(0, color="black", lw=0.7)
        right.set_yticks(range(len(pair.lines)), [line.metric for line in pair.lines], fontsize=7)
        right.set_title("effect: more or less than the control", fontsize=8)
        for axis in (left, right):
            axis.tick_params(labelsize=7)
    _saved(figure, path)
    return len(shown)


def _line(course: Sequence[tuple[int, float]]) -> tuple[list[datetime], list[float]]:
    return [datetime.fromtimestamp(at / SECOND, UTC) for at, _ in course], [value for _, value in course]


def _figure(count: int, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "a PNG needs matplotlib: install llmvitals[charts], or leave --png out and see it here"
        ) from None
    rows = count // columns
    figure = Figure(figsize=(10, max(height * rows, 3.2)), layout="constrained")
    return figure, [*figure.subplots(rows, columns, squeeze=False).flat]


def _timed(axis: Any) -> None:
    """Times as short as they can be told, in UTC."""
    dates: Any = import_module("matplotlib.dates")
    locator = dates.AutoDateLocator(minticks=3)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _saved(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise ConfigError(f"--png: {path} can't be written: {error.strerror}") from error
