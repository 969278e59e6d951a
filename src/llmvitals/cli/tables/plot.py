"""Numbers over time as characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


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
