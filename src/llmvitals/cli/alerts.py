"""The commands about alerts; the modules beside this one add them."""

from __future__ import annotations

import typer

alerts = typer.Typer(no_args_is_help=True, help="Rules and alerts: check, test, backtest, list, history.")


def add(app: typer.Typer) -> None:
    """Put them into the command line."""
    app.add_typer(alerts, name="alerts")
