"""The command that writes the starter rules: init."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from llmvitals import settings as settings_
from llmvitals.errors import BadCall, ConfigError
from llmvitals.window import DAY, HOUR

SHORTEST: Final = 6 * HOUR
"""The least time (µs) between the first and the last call of a file that tells how many a day has."""


def init(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The folder to write to; default: that of the settings."),
    ] = None,
    calls_per_day: Annotated[
        float | None, typer.Option(min=1, metavar="N", help="About how many calls a weekday has.")
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="Count the calls of a file of events instead; - for stdin."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Write the starter rules with their tests: a set for thousands of calls a day, or one for hundreds.

    Without --calls-per-day and --from the command asks. Below 1,000 calls a day it writes the small set.
    """
    from llmvitals.rules.starter_set import SMALL, starter_set  # noqa: PLC0415 - other commands don't need it

    if calls_per_day is not None and measured is not None:
        raise typer.BadParameter("give --calls-per-day or --from, not both", param_hint="--from")
    settings = settings_.load()
    target = folder or settings.alerts
    calls = _measured(measured) if measured is not None else calls_per_day or _asked()
    chosen = starter_set(calls)
    written = chosen.write(target, force=force)
    why = f"{calls:,.0f} calls a day, and {SMALL:,} are where the large set begins"
    typer.echo(f"{len(written)} files of the {chosen.name} starter set are in {target}: {why}.")
    typer.echo(f"Budgets are in {target / 'budgets.yaml'}: set their limits to about twice of what is usual.")
    typer.echo("Next:")
    typer.echo(f"  llmvitals alerts check {target}")
    typer.echo(f"  llmvitals alerts test {target}")
    typer.echo(
        f"  llmvitals alerts backtest FILE --rules {target}    # what they would have said of past calls"
    )
    if target != settings.alerts:
        typer.echo(f"Workers read {settings.alerts}: set LLMVITALS_ALERTS={target}.")


def _asked() -> float:
    """Ask for the calls of a day. Raises ConfigError where nobody can answer."""
    if not sys.stdin.isatty():
        raise ConfigError("how many calls a day? Write --calls-per-day N, or --from FILE to count them")
    return float(typer.prompt("How many LLM calls does a weekday have, about?", type=float))


def _measured(name: str) -> float:
    """Count the calls of a file; return those of a day. Raises ConfigError if it has too few to tell."""
    from llmvitals import ingest  # noqa: PLC0415 - reads the prices of models
    from llmvitals.backtest.run import batches, opened  # noqa: PLC0415
    from llmvitals.record.call import ended  # noqa: PLC0415

    times: list[int] = []
    with opened(name) as (file, _):
        for batch in batches(file):
            for record in batch:
                try:
                    times += [ended(call) for call in ingest.decode(record.value or b"").calls]
                except BadCall:
                    continue  # `llmvitals replay` tells why; here it is a call that isn't counted
    span = max(times) - min(times) if times else 0
    if span < SHORTEST:
        raise ConfigError(
            f"{name} has {len(times):,} calls of {span / HOUR:.1f} hours, which says little of a day: "
            "give a file of a day or more, or write --calls-per-day N"
        )
    return len(times) / (span / DAY)


def add(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command()(init)
