"""The commands about alerts; the modules beside this one add them."""

from __future__ import annotations

import typer

alerts = typer.Typer(
    no_args_is_help=True,
    help="Rules and alerts: check, test and backtest rules; list, history and report of alerts; send-test.",
)


def add(app: typer.Typer) -> None:
    """Put them into the command line."""
    app.add_typer(alerts, name="alerts")
