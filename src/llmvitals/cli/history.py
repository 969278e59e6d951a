"""Commands about the past: alerts backtest, alerts history, alerts report."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from typing import Annotated

import typer

from llmvitals import settings as settings_
from llmvitals.cli.rule_files import RulesOption
from llmvitals.cli.stored import name_store


def backtest(
    since: Annotated[str, typer.Option(help="Read calls that are at most this old (7d) from Kafka.")] = "7d",
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
    """Show what alerts rules would have raised on past calls. Nothing is stored, and nobody is notified.

    The calls go through the worker's own stages, so a rule fires here if it would have fired there.
    """
    from llmvitals.backtest import run, show  # noqa: PLC0415 - other commands don't need it
    from llmvitals.cli.tables.backtest import print_outcome  # noqa: PLC0415 - nor this
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
    since: Annotated[str, typer.Option(help="How far back (7d), or a time.")] = "7d",
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Show the changes of alerts, from the store: when, which rule and series, and who acknowledged."""
    from llmvitals.cli.tables.alerts import print_history  # noqa: PLC0415 - other commands don't need it
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.report import run, show  # noqa: PLC0415 - nor this

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(run.history(settings, since, rule))
    if as_json:
        typer.echo(show.history_json(found))
    elif as_csv:
        typer.echo(show.history_csv(found), nl=False)
    else:
        print_history(found, terminal())


def report(
    since: Annotated[str, typer.Option(help="How far back (30d), or a time.")] = "30d",
    timezone: Annotated[str, typer.Option(help="The time zone of nights, such as Europe/Berlin.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Show how the rules have done: alerts a week, times to acknowledge and resolve, flaps, and advice.

    It reads the store (`llm_alerts`, `llm_calls`), which does not know the limits that a rule had before.
    """
    from llmvitals.cli.tables.alerts import print_report  # noqa: PLC0415 - other commands don't need it
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.report import run, show  # noqa: PLC0415 - nor this

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(run.report(settings, since, timezone))
    if as_json:
        typer.echo(json.dumps(show.report_plain(found), ensure_ascii=False))
    else:
        print_report(found, terminal())


def add(alerts: typer.Typer) -> None:
    """Put the commands on the group."""
    for command in (backtest, history, report):
        alerts.command()(command)
