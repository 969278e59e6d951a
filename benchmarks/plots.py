"""Makes docs/performance.md's tables and plots from its figures: `python -m benchmarks.plots [FILE.json]`.

Without FILE they are those of docs/performance.json.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from benchmarks.bench import Json
from benchmarks.merge import suffix
from benchmarks.worker_rates import PARTITIONS, USERS
from matplotlib.figure import Figure

from benchmarks import page

FOLDER: Final = page.ROOT / "docs" / "performance"
STYLE: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "llmvitals", "font.size": 9}


class Line(NamedTuple):
    """A line of a plot: its label, and the figure at each x."""

    label: str
    names: Mapping[int, str]
    mb: bool = False


class Plot(NamedTuple):
    """One plot: what it shows, and its lines."""

    title: str
    lines: tuple[Line, ...]


COMBINE: Final = {users: f"combine-users-{users}" for users in USERS}
MERGE: Final = {users: f"merge-entries{suffix(users)}" for users in USERS}
BREACH: Final = {users: "breach-p50-s" + (f"-{users}" if users != 1_000 else "") for users in USERS}
BY_PARTITIONS: Final = {1: "combine-partitions-1", 4: "combine-users-1000", 16: "combine-partitions-16"}
WAITS: Final = {4: "breach-p50-s"} | {number: f"breach-p50-s-partitions-{number}" for number in PARTITIONS}
PLOTS: Final[dict[str, tuple[str, tuple[Plot, ...]]]] = {
    "series": (
        "series",
        (
            Plot("a second", (Line("combine: calls", COMBINE), Line("merge: entries", MERGE))),
            Plot("memory, MB", (Line("combine", COMBINE, mb=True), Line("merge", MERGE, mb=True))),
            Plot("breach to Slack, s", (Line("median", BREACH),)),
        ),
    ),
    "partitions": (
        "partitions",
        (
            Plot("combine: calls a second", (Line("1,000 users", BY_PARTITIONS),)),
            Plot("memory of combine, MB", (Line("1,000 users", BY_PARTITIONS, mb=True),)),
            Plot("breach to Slack, s", (Line("median", WAITS),)),
        ),
    ),
}


def draw(file: str, rows: Sequence[Json], folder: Path) -> None:
    """Write one SVG; figures that could not be measured are left out."""
    over, plots = PLOTS[file]
    by_name = {row["name"]: row for row in rows}
    with mpl.rc_context(STYLE):
        picture = Figure(figsize=(9, 2.8), layout="constrained")
        for axes, plot in zip(picture.subplots(1, len(plots)), plots, strict=True):
            for line in plot.lines:
                places = [
                    (x, value(by_name.get(name, {}), mb=line.mb)) for x, name in sorted(line.names.items())
                ]
                there = [(x, y) for x, y in places if y is not None]
                axes.plot(
                    [x for x, _ in there], [y for _, y in there], marker="o", markersize=3, label=line.label
                )
            axes.set(title=plot.title, xlabel=over, xscale="log", ylim=(0, None))
            axes.grid(visible=True, linewidth=0.3)
            axes.legend(frameon=False)
        folder.mkdir(exist_ok=True)
        picture.savefig(folder / f"{file}.svg", metadata={"Date": None})


def value(row: Json, *, mb: bool) -> float | None:
    """What a line shows of a row; None where there is nothing."""
    shown: float | None = row.get("mb") if mb else row.get("per_s", row.get("value"))
    return shown


def main() -> None:
    """Write all plots and the page."""
    rows = page.read(*map(Path, sys.argv[1:2]))
    for file in PLOTS:
        draw(file, rows, FOLDER)
    page.PAGE.write_text(page.current(page.PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
