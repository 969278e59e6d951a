"""The command that shows what fires now: alerts list."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from llmvitals import settings as settings_
from llmvitals.cli.silence import cases, drawn, read
from llmvitals.console import console as terminal
from llmvitals.metrics.words import FACETS
from llmvitals.notify import figure
from llmvitals.record.incident import Entry, Incident, decode
from llmvitals.record.log import Topic
from llmvitals.wording import SEVERITIES, clean, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIELDS: Final = (
    "since", "severity", "rule", "facet", "labels", "value", "peak", "limit", "unit", "level", "at",
    "episode",
)  # fmt: skip


def firing(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """Show the alerts that fire now: since when, how severe, where they were sent, who looks after them."""
    entries = list(asyncio.run(read(settings_.load(), Topic.INCIDENTS, decode)))
    alerts = {case.alert.episode: case.alert for case in cases(entries)}
    rows = sorted(_rows(entries), key=lambda row: (row["since"], row["incident"], row["episode"]))
    if not drawn(rows, "Nothing fires.", as_json=as_json):
        return
    table = Table("since", "severity", "rule", "labels", box=None, header_style="bold")
    for name in ("now", "peak", "limit"):
        table.add_column(name, justify="right")
    table.add_column("as of")
    table.add_column("state")
    table.add_column("in Slack")
    for row in rows:
        labels = ", ".join(f"{name}={clean(value)}" for name, value in row["labels"].items())
        place = f"{row['channel']} {row['ts']}".strip() if row["posted"] else ""
        table.add_row(
            moment(row["since"]),
            Text(clean(row["severity"], 20), SEVERITIES.get(row["severity"].lower(), "yellow")),
            " · ".join(filter(None, (clean(row["rule"], 80), FACETS.get(row["facet"], row["facet"])))),
            labels,
            figure.value(alerts[row["episode"]]),
            figure.number(alerts[row["episode"]], row["peak"]),
            figure.bound(alerts[row["episode"]]).removeprefix("limit "),
            moment(row["at"]),
            clean(row["state"], 200),
            place,
        )
    terminal().print(table)


def _rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Return a row for each alert that fires."""
    entries = list(entries)
    incidents = {one.id: one for one in entries if isinstance(one, Incident)}
    for case in cases(entries):
        if case.firing:
            alert, incident = case.alert, incidents.get(case.incident)
            sent = [one for one in incident.sent.values() if one.posted] if incident else []
            place = next((one.place for one in sent if one.place[1]), ("", ""))
            yield {
                **{name: getattr(alert, name) for name in _FIELDS},
                "incident": case.incident,
                "state": _state(incident),
                "posted": bool(sent),
                "channel": (place[0] or incident.channel) if incident else "",
                "ts": place[1],
            }


def _state(incident: Incident | None) -> str:
    if incident is None:
        return "held until llmvitals has caught up"
    if incident.unheard:
        return incident.unheard
    if incident.acknowledged is not None:
        return f"acknowledged by {incident.acknowledged[0]}"
    return "told" if incident.is_posted else "waits to be told"


def add(alerts: typer.Typer) -> None:
    """Put the command beside the others about alerts."""
    alerts.command("list")(firing)
