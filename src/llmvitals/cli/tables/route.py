"""Prints where alerts go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from llmvitals.console import plain_table
from llmvitals.routing import EACH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

_WAITS: Final = ("group_wait", "group_interval", "repeat_interval")


def print_way(found: Mapping[str, Any], console: Console) -> None:
    """Print where one alert goes, and why."""
    route = found["route"]
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_row("alert", _pairs(found["labels"]))
    lines.add_row("goes to", Text.assemble((found["channel"], "bold"), f"  by the {found['channel_of']}"))
    lines.add_row("route", _routed(route))
    for passed in found["passed"]:
        lines.add_row("not", Text(f"{passed['place']}  {passed['matcher']}: {passed['why']}", style="dim"))
    lines.add_row("group_by", _grouped(route["group_by"]))
    lines.add_row("waits", _waits(route))
    for mute in found["mute_times"]:
        holds = ("holds now: nothing is sent", "yellow") if mute["holds"] else ("does not hold now", "")
        lines.add_row("mute time", Text.assemble(f"{mute['name']}  ", holds))
    for one in found["inhibited_by"]:
        equal = f" with {_pairs(one['equal'])}" if one["equal"] else ""
        rules = f"  ({', '.join(one['rules']) or 'no rule'})"
        lines.add_row("muted by", f"{one['place']}  an alert of {' '.join(one['source'])}{equal}{rules}")
    console.print(lines)
    for message in found["unknown"].values():
        console.print(message, style="yellow")
    if found["missing"]:
        names = ", ".join(found["missing"])
        console.print(f"its alerts also have {names}, which no matcher sees here", style="yellow")


def print_routes(found: Mapping[str, Any], console: Console) -> None:
    """Print all routes as a table."""
    mutes = any(route["mute"] for route in found["routes"])
    names = ("route", "match", "goes to", "group_by", *(("mute",) if mutes else ()))
    table = plain_table(*names, figures=("waits", "rules"))
    for route in found["routes"]:
        count = len(route["rules"])
        table.add_row(
            Path(route["place"]).name or "(no other)",
            " ".join(route["match"]) or "all",
            route["channel"],
            _grouped(route["group_by"]),
            *([", ".join(route["mute"])] if mutes else []),
            ", ".join(route[name] for name in _WAITS),
            Text(str(count), style="" if count else "yellow"),
        )
    console.print(table)
    console.print(f"waits: {', '.join(_WAITS)}", style="dim")
    for rule, channel in found["own"].items():
        console.print(f"{rule} names a channel of its own, which goes first: {channel}")


def _pairs(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items())


def _routed(route: Mapping[str, Any]) -> str:
    if not route["place"]:
        return "no route matches" if not route["match"] else " ".join(route["match"])
    return f"{route['place']}  {' '.join(route['match']) or 'matches every alert'}"


def _grouped(names: Sequence[str] | None) -> str:
    if names is None:
        return "rule (a budget: by its series too)"
    return ", ".join("each alert alone" if name == EACH else name for name in names) or "one group of all"


def _waits(route: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {route[name]}" for name in _WAITS)
