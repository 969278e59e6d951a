"""Commands that show statistics: drift show, canary show."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmvitals import settings as settings_
from llmvitals.cli.baseline import Where, baseline
from llmvitals.cli.where import pairs
from llmvitals.console import console as terminal

if TYPE_CHECKING:
    from llmvitals.report.drift import Found

drift = typer.Typer(no_args_is_help=True, help="What calls mean, against what they meant: show, baseline.")
canary = typer.Typer(no_args_is_help=True, help="New versions beside old ones: show.")

Since = Annotated[str, typer.Option(help="How far back (24h), or a time.")]
Rule = Annotated[str | None, typer.Option(help="Only this rule.")]
Png = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw into a file (llmvitals[charts]).")]
Json = Annotated[bool, typer.Option("--json", help="A list of objects.")]


@drift.command("show")
def show_drift(
    where: Where = None,
    since: Since = "24h",
    rule: Rule = None,
    png: Png = None,
    *,
    as_json: Json = False,
) -> None:
    """Draw how far each series is from its reference over time; 1 is where an alert begins."""
    from llmvitals.report import drift as report  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import picture  # noqa: PLC0415 - nor this

    seen = as_found(since, rule, where, as_json=as_json)
    if png is not None and seen is not None:
        typer.echo(f"{png}: {picture.drift(seen, png)} series")
    elif seen is not None:
        report.charts(seen, terminal())


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
    from llmvitals.report import canary as report  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import picture  # noqa: PLC0415 - nor this

    found = asyncio.run(report.found(settings_.load(), since, rule, pairs(where)))
    if as_json:
        typer.echo(json.dumps(report.plain(found), ensure_ascii=False))
    elif png is not None:
        typer.echo(f"{png}: {picture.canary(found, png)} comparisons")
    else:
        report.tables(found, terminal())


def as_found(since: str, rule: str | None, where: list[str] | None, *, as_json: bool) -> Found | None:
    """What the store has of drift; None where it was printed as JSON."""
    from llmvitals.report import drift as report  # noqa: PLC0415 - other commands don't need it

    seen = asyncio.run(report.found(settings_.load(), since, rule, pairs(where)))
    if as_json:
        typer.echo(json.dumps(report.plain(seen), ensure_ascii=False))
        return None
    return seen


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    drift.add_typer(baseline, name="baseline")
    app.add_typer(drift, name="drift")
    app.add_typer(canary, name="canary")
