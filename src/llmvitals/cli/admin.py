"""Commands for operators: topics, config, doctor."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Final

import typer
from pydantic import SecretStr
from rich.text import Text

from llmvitals import settings as settings_
from llmvitals.console import console as terminal
from llmvitals.console import plain_table

_MARKS: Final = {"fine": ("fine", "green"), "warning": ("check", "yellow"), "wrong": ("wrong", "red")}

topics = typer.Typer(no_args_is_help=True, help="The topics that llmvitals needs: check, plan, apply.")
config = typer.Typer(no_args_is_help=True, help="Show the settings.")


@topics.command()
def check() -> None:
    """Check the files that declare the topics, without a broker."""
    from llmvitals import topics as topics_  # noqa: PLC0415

    declared = topics_.load(settings_.load())
    for topic in declared:
        typer.echo(f"{topic.name}: {topic.description}")
    typer.echo(f"{len(declared)} topics, fine")


@topics.command()
def plan() -> None:
    """Show what `apply` would change on the broker. The exit code is always 0."""
    from llmvitals import topics as topics_  # noqa: PLC0415

    typer.echo(str(asyncio.run(topics_.plan(settings_.load()))))


@topics.command()
def apply(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")] = False,
) -> None:
    """Show the difference, ask, then create topics, add partitions and change settings; never delete.

    The exit code is 1 if the answer is not yes; then nothing was changed.
    """
    from llmvitals import topics as topics_  # noqa: PLC0415

    settings = settings_.load()
    changes = asyncio.run(topics_.plan(settings))
    typer.echo(str(changes))
    if not changes:
        return
    if not (yes or _agreed("Apply this?")):
        typer.echo("Nothing was changed.")
        raise typer.Exit(1)
    asyncio.run(topics_.apply(settings))
    typer.echo("done")


def _agreed(question: str) -> bool:
    """Return whether the answer is yes; the end of the input, or Ctrl-C, is no."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        typer.echo()
        return False


@config.command("show")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every setting with its value and meaning. Secrets are not shown."""
    settings = settings_.load()
    values = {name: _shown(getattr(settings, name)) for name in type(settings).model_fields}
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    table = plain_table("setting", "value", "meaning")
    for name, field in type(settings).model_fields.items():
        value = values[name]
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, text, field.description or "")
    terminal().print(table)


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return "(set, not shown)"
    return (
        value
        if value is None or isinstance(value, bool | int | str)
        else json.loads(json.dumps(value, default=str))
    )


def doctor() -> None:
    """Check Kafka, topics, stores, prices, Slack, rules and clock, and say how to fix problems.

    The exit code is 1 if a check fails.
    """
    from llmvitals.cli.doctor import examine  # noqa: PLC0415

    findings = asyncio.run(examine(settings_.load()))
    table = plain_table("check", "", "found", "what to do")
    for finding in findings:
        mark = Text(*_MARKS[finding.state])
        table.add_row(finding.what, mark, finding.found, finding.cure)
    terminal().print(table)
    raise typer.Exit(1 if any(finding.state == "wrong" for finding in findings) else 0)


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.add_typer(topics, name="topics")
    app.add_typer(config, name="config")
    app.command()(doctor)
