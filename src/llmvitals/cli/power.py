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
        typer.Argument(metavar="[FILE]...", help="Files of calls, a JSON object a line (- is stdin; .gz)."),
    ] = None,
    rules: RulesOption = None,
    calls: Annotated[
        int, typer.Option(min=1, max=100_000_000, help="Without files: a series has so many calls a day.")
    ] = 0,
    base: Annotated[
        str, typer.Option(help="Without files: the usual share of whatever a rule counts, such as errors.")
    ] = "2%",
    series: Annotated[int, typer.Option(min=1, help="Without files: so many series share a promise.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """Say which changes rules would find: the smallest one within a day, and within a week.

    Calls are read from files, as they lie on Kafka, and nothing is stored; the more days they span, the
    better. Or --calls says how many there are a day. A rule that can't see a change of 30 % says so.
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
    else:
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
