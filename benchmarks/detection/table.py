"""From what each world found to the rows of the JSON, and the table on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from benchmarks.detection.traffic import CHANGES
from benchmarks.detection.world import HORIZON, Found
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

DETECTORS: Final = ("llmvitals", "centroid", "mmd", "classifier")
PEERS: Final = DETECTORS[1:]
USUAL: Final = 16
"""Minutes of a baseline's window, at most, that is fixed beforehand."""
LONGEST: Final = 128
"""And of one that is chosen when all is known, whose rows end with -long."""
COUNTED: Final = 30_000
NEVER: Final = f"> {HORIZON}"


def rows(worlds: Sequence[dict[tuple[str, int], Found]]) -> list[dict[str, Any]]:
    """Of each change and detector the mean delay; of each detector its alarms while nothing happens."""
    found: list[dict[str, Any]] = []
    for change in CHANGES:
        found += [_best(change, detector, worlds, USUAL) for detector in DETECTORS]
        long = [_best(change, detector, worlds, LONGEST) for detector in PEERS]
        found += [row | {"name": f"{row['name']}-long"} for row in long]
    for detector in DETECTORS:
        tenth = next(row for row in found if row["name"] == f"drift/new-topic-10%/{detector}")
        found.append(_null(detector, tenth["window"], worlds))
    return found


def _best(
    change: str, detector: str, worlds: Sequence[dict[tuple[str, int], Found]], longest: int
) -> dict[str, Any]:
    """With that of its windows, up to so many minutes, which did best."""
    windows = [window for name, window in worlds[0] if name == detector and window <= longest]
    several = [_delay(change, detector, window, worlds) for window in windows]
    return min(several, key=lambda row: (row["delay_panes"], -row["found"]))


def _delay(
    change: str, detector: str, window: int, worlds: Sequence[dict[tuple[str, int], Found]]
) -> dict[str, Any]:
    delays = [delay for world in worlds for delay in world[detector, window].delays[change]]
    waited = np.array([HORIZON if delay is None else delay for delay in delays], float)
    lost = sum(delay is None for delay in delays)
    return {
        "name": f"drift/{change}/{detector}",
        "delay_panes": round(float(waited.mean()), 2),
        "median_panes": float(np.median(waited)),
        "standard_error": round(float(waited.std(ddof=1) / np.sqrt(len(waited))), 2)
        if len(waited) > 1
        else 0,
        "found": round(1 - lost / len(delays), 4),
        "never": lost == len(delays),
        "horizon": HORIZON,
        "runs": len(delays),
        "window": window,
    }


def _null(detector: str, window: int, worlds: Sequence[dict[tuple[str, int], Found]]) -> dict[str, Any]:
    several = [world[detector, window] for world in worlds]
    panes = sum(found.panes for found in several)
    row = {
        "name": f"drift/null/{detector}",
        "alarms_per_30000": round(sum(found.alarms for found in several) * COUNTED / panes, 2),
        "panes": panes,
        "window": window,
    }
    if detector != "llmvitals":
        fixed = sum(found.fixed for found in several) * COUNTED / panes
        row["alarms_per_30000_at_its_usual_limit"] = round(fixed, 2)
    return row


def show(found: list[dict[str, Any]]) -> None:
    """A table of drift, and the other rows below it."""
    by_name = {row["name"]: row for row in found}
    table = Table(box=None, title="Drift: minutes to the first alarm, at one false alarm a month")
    table.add_column("change")
    columns = (*DETECTORS, *(f"{name}-long" for name in PEERS))
    for name in columns:
        table.add_column(name, justify="right")
    for change in CHANGES:
        table.add_row(change, *(_shown(by_name[f"drift/{change}/{name}"]) for name in columns))
    nulls = [by_name[f"drift/null/{name}"] for name in DETECTORS]
    table.add_row("null: alarms in 30,000", *(f"{row['alarms_per_30000']:g}" for row in nulls))
    usual = [row.get("alarms_per_30000_at_its_usual_limit") for row in nulls]
    table.add_row("null, limit as usual", *("" if count is None else f"{count:g}" for count in usual))
    console = Console(width=None if Console().is_terminal else 130)
    console.print(table)
    for row in found:
        if not row["name"].startswith("drift/"):
            values = (f"{key} {value:,.4g}" for key, value in row.items() if isinstance(value, int | float))
            console.print(f"{row['name']}: {', '.join(values)}")


def _shown(row: dict[str, Any]) -> str:
    if row["never"]:
        return NEVER
    lost = f" ({1 - row['found']:.0%} lost)" if row["found"] < 1 else ""
    window = f" [{row['window']}]" if row["window"] else ""
    return f"{row['delay_panes']:.1f}{lost}{window}".replace("[", r"\[")
