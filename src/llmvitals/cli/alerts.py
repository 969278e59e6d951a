"""The group of commands about alerts; other modules add commands to it."""

from __future__ import annotations

import typer

alerts = typer.Typer(
    no_args_is_help=True,
    help="Rules and alerts: check, test and backtest rules, and say what they can see; route, list, history "
    "and report of alerts; send-test.",
)


def add(app: typer.Typer) -> None:
    """Put the group on the app."""
    app.add_typer(alerts, name="alerts")
