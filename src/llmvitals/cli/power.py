"""The command that says what rules can see: alerts power."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmvitals import settings as settings_
from llmvitals.cli.rule_files import RulesOption, chosen
from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.backtest.power import Seen


def power(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Files of calls, a JSON object on each line; .gz works, - is stdin."
        ),
    ] = None,
    rules: RulesOption = None,
    calls: Annotated[
        int | None,
        typer.Option(min=1, max=10_000_000, help="Without files: the calls of a series in a day."),
    ] = None,
    base: Annotated[
        str, typer.Option(help="Without files: the usual share of what a rule counts, such as errors.")
    ] = "2%",
    series: Annotated[
        int, typer.Option(min=1, help="Without files: how many series share the allowed false alarms.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """Show the smallest change that each rule would find within a day, and within a week.

    It reads calls from files, as they are on Kafka; the more days they span, the better. Or give the number
    of calls with --calls. Nothing is stored. A rule that would not find a change of 30 % is marked.
    """
    from llmvitals.backtest import power as past  # noqa: PLC0415 - other commands don't need it
    from llmvitals.cli.tables.power import print_power  # noqa: PLC0415 - nor this
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.metrics.amount import BASIS, basis_points  # noqa: PLC0415 - nor this
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415 - nor this

    if bool(files) == bool(calls):
        raise typer.BadParameter("name files of calls, or write --calls with their number a day")
    settings = settings_.load()
    (place,) = chosen([], rules, settings)
    engine = load_engine(place, duration(settings.pane))
    if files:
        found, days = past.of_files(settings, engine, files)
    elif calls:
        try:
            share = basis_points(base) / BASIS
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--base") from error
        found, days = past.of_typical(engine, calls, share, series), None
    if as_json:
        typer.echo(json.dumps([_plain(seen) for seen in found], ensure_ascii=False, indent=2))
    else:
        print_power(found, days, terminal())


def _plain(seen: Seen) -> dict[str, Any]:
    one = seen.power
    return {
        "rule": seen.rule,
        "kind": seen.kind,
        "series": dict(seen.labels),
        "metric": one.metric,
        "calls_a_day": round(one.calls, 1),
        "base": one.base,
        "smallest_in_a_day": one.day,
        "smallest_in_a_week": one.week,
        "note": one.note,
    }


def add(alerts: typer.Typer) -> None:
    """Put the command with the others about alerts."""
    alerts.command()(power)
