"""Commands that show statistics: drift show, canary show."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from llmvitals import settings as settings_
from llmvitals.cli.baseline import baseline
from llmvitals.cli.stored import name_store, read_drift
from llmvitals.cli.where import Where, pairs
from llmvitals.console import console as terminal

drift = typer.Typer(no_args_is_help=True, help="How far the meaning of calls has moved: show, baseline.")
canary = typer.Typer(no_args_is_help=True, help="New versions compared with old ones: show.")

Since = Annotated[str, typer.Option(help="How far back (24h), or a time.")]
Rule = Annotated[str | None, typer.Option(help="Only this rule.")]
Png = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a PNG file; needs llmvitals[charts].")]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")]


@drift.command("show")
def show_drift(
    where: Where = None,
    since: Since = "24h",
    rule: Rule = None,
    png: Png = None,
    *,
    as_json: Json = False,
) -> None:
    """Draw how far each series is from its reference over time; an alert begins at 1."""
    from llmvitals.cli.tables.drift import print_charts  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import picture  # noqa: PLC0415 - nor this

    found = read_drift(since, rule, where, as_json=as_json)
    if png is not None and found is not None:
        typer.echo(f"{png}: {picture.drift(found, png)} series")
    elif found is not None:
        print_charts(found, terminal())


@canary.command("show")
def show_canary(
    where: Where = None,
    since: Since = "24h",
    rule: Rule = None,
    png: Png = None,
    *,
    as_json: Json = False,
) -> None:
    """Compare new versions with old ones: effects with their intervals, and the evidence over time."""
    from llmvitals.cli.tables.canary import print_comparisons  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import canary as report  # noqa: PLC0415 - nor this
    from llmvitals.report import picture  # noqa: PLC0415 - nor this

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(report.found(settings, since, rule, pairs(where)))
    if as_json:
        typer.echo(json.dumps(report.plain(found), ensure_ascii=False))
    elif png is not None:
        typer.echo(f"{png}: {picture.canary(found, png)} comparisons")
    else:
        print_comparisons(found, terminal())


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    drift.add_typer(baseline, name="baseline")
    app.add_typer(drift, name="drift")
    app.add_typer(canary, name="canary")
