"""Commands about what fires and what has fired: alerts list, history, report and backtest."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from llmvitals import settings as settings_
from llmvitals.cli.rule_files import RulesOption
from llmvitals.cli.silence import cases, drawn, read_topic
from llmvitals.cli.stored import name_store
from llmvitals.console import console as terminal
from llmvitals.console import plain_table, stacked
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
    """Show the alerts that fire now: since when, how severe, where they were sent, who acknowledged them."""
    entries = list(asyncio.run(read_topic(settings_.load(), Topic.INCIDENTS, decode)))
    alerts = {case.alert.episode: case.alert for case in cases(entries)}
    rows = sorted(_firing_rows(entries), key=lambda row: (row["since"], row["incident"], row["episode"]))
    if not drawn(rows, "Nothing fires.", as_json=as_json):
        return
    table = plain_table("since", "rule, labels", figures=("now",), last=("state",))
    for row in rows:
        labels = ", ".join(f"{name}={clean(value)}" for name, value in row["labels"].items())
        place = f"{row['channel']} {row['ts']}".strip() if row["posted"] else ""
        severity = Text(clean(row["severity"], 20), SEVERITIES.get(row["severity"].lower(), "yellow"))
        rule = " · ".join(filter(None, (clean(row["rule"], 80), FACETS.get(row["facet"], row["facet"]))))
        alert = alerts[row["episode"]]
        table.add_row(
            Text.assemble(f"{moment(row['since'])}\n", severity),
            stacked(rule, labels),
            stacked(figure.value(alert), f"peak {figure.number(alert, row['peak'])}", figure.bound(alert)),
            stacked(clean(row["state"], 200), f"as of {moment(row['at'])}", place),
        )
    terminal().print(table)


def _firing_rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
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


def backtest(
    since: Annotated[str, typer.Option(help="Read calls from Kafka that are at most this old.")] = "7d",
    file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Read calls from a file instead; .gz works, - is stdin."),
    ] = None,
    rules: RulesOption = None,
    against: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Another folder or file of rules to compare with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Show which alerts the rules would have raised on past calls. Nothing is stored, nobody is notified.

    The calls go through the worker's own stages, so a rule fires here if it would have fired there.
    """
    from llmvitals.backtest import run, show  # noqa: PLC0415 - other commands don't need it
    from llmvitals.cli.tables.history import print_outcome  # noqa: PLC0415 - nor this
    from llmvitals.cli.tables.progress import backtest_progress  # noqa: PLC0415 - nor this
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.runtime.kafka import past_calls  # noqa: PLC0415 - nor this

    settings = settings_.load()
    gc.freeze()  # what is loaded stays: looking for cycles in it finds none
    folders = [rules or settings.alerts, *([against] if against else [])]
    with backtest_progress() as told:
        if file is None:
            outcome = asyncio.run(past_calls.backtest(settings, since, folders, told))
        else:
            outcome = run.of_file(settings, file, folders, told)
    if as_json:
        typer.echo(json.dumps(show.plain(outcome), ensure_ascii=False))
    else:
        print_outcome(outcome, terminal())


def history(
    since: Annotated[str, typer.Option(help="How far back (7d), or a time (2026-11-24T00:00:00Z).")] = "7d",
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Show the changes of alerts, from the store: when, which rule and series, and who acknowledged."""
    from llmvitals.cli.tables.history import print_history  # noqa: PLC0415 - other commands don't need it
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.report import run  # noqa: PLC0415 - nor this

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(run.history(settings, since, rule))
    if as_json:
        typer.echo(run.history_json(found))
    elif as_csv:
        typer.echo(run.history_csv(found), nl=False)
    else:
        print_history(found, terminal())


def report(
    since: Annotated[str, typer.Option(help="How far back (30d), or a time (2026-11-24T00:00:00Z).")] = "30d",
    timezone: Annotated[str, typer.Option(help="The time zone that decides when it is night.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Show how well the rules have done: alerts a week, times to acknowledge and resolve, flaps, and advice.

    It reads the store (`llm_alerts`, `llm_calls`), which does not know the limits that a rule had before.
    """
    from llmvitals.cli.tables.history import print_report  # noqa: PLC0415 - other commands don't need it
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.report import run  # noqa: PLC0415 - nor this

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(run.report(settings, since, timezone))
    if as_json:
        typer.echo(json.dumps(run.report_plain(found), ensure_ascii=False))
    else:
        print_report(found, terminal())


def add(alerts: typer.Typer) -> None:
    """Put the commands on the group."""
    alerts.command("list")(firing)
    for command in (backtest, history, report):
        alerts.command()(command)
