"""The command line. Exit codes: 0 success, 1 failure, 2 wrong usage or settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import llmvitals
from llmvitals.cli import (
    admin,
    alerts,
    data,
    drift,
    gateway,
    init,
    power,
    prices,
    reprice,
    route,
    rules,
    run,
    silence,
    slack,
    verdicts,
)
from llmvitals.environment import PREFIX
from llmvitals.errors import ConfigError, LlmvitalsError, RuleError
from llmvitals.runtime import logs
from llmvitals.settings import check_name, unknown

app = typer.Typer(
    name="llmvitals",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Reads LLM calls from Kafka and alerts when their cost, speed, safety or meaning goes wrong.\n\n"
    "Try it: `llmvitals demo`. On your own Kafka: `llmvitals topics apply`, then `llmvitals worker`.\n\n"
    f"Every setting is an environment variable `{PREFIX}NAME`, a line of `llmvitals.toml`, or "
    "`--set NAME=VALUE`; `llmvitals config show` lists them.",
)
alerts_group = typer.Typer(
    no_args_is_help=True,
    help="Rules and alerts: check, test and backtest rules; show where alerts go, which fire now, and which "
    "have fired; send a test alert.",
)
init.add(app)
run.add(app)
gateway.add(app)
data.add(app)
admin.add(app)
app.add_typer(alerts_group, name="alerts")
silence.add(app)
verdicts.add(app)
drift.add(app)
prices.add(app)
reprice.add(app)
rules.add(alerts_group)
route.add(alerts_group)
alerts.add(alerts_group)
power.add(alerts_group)
slack.add(alerts_group)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmvitals {llmvitals.__version__}")
        raise typer.Exit


@app.callback()
def _settings(
    context: typer.Context,
    brokers: Annotated[
        str | None, typer.Option(help="The addresses of Kafka: host:port, separated by commas.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The file of settings, instead of llmvitals.toml.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set any setting; may be repeated."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    logs.hush()
    # Stages are processes of their own; a second thread would only wait for the first one's small matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The environment is how the flags reach the worker's own processes.
    if config is not None:
        if not config.is_file():
            raise typer.BadParameter(f"{config} is not there", param_hint="--config")
        os.environ[f"{PREFIX}CONFIG"] = str(config)
    if brokers is not None:
        os.environ[f"{PREFIX}BROKERS"] = brokers
    for pair in given or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: write NAME=VALUE", param_hint="--set")
        check_name(name)
        os.environ[f"{PREFIX}{name.upper()}"] = value
    if context.invoked_subcommand != "worker":  # which has a log for it
        for sentence in unknown():
            typer.secho(f"llmvitals: {sentence}", err=True, fg=typer.colors.YELLOW)


def main() -> None:
    """The console script. An error of llmvitals is printed as a message, without a traceback."""
    logs.catch()
    try:
        app()
    except LlmvitalsError as error:
        # Editors jump to file:line:column at the beginning of a line.
        name = "" if isinstance(error, RuleError) else "llmvitals: "
        typer.secho(f"{name}{error}", err=True, fg=typer.colors.RED)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - typer would have Python print it, with what is in its text
        logs.uncaught(error)
        sys.exit(1)
