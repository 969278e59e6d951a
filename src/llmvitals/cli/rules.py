"""Commands for authors of rules: alerts check, alerts test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from llmvitals import settings as settings_
from llmvitals.console import console as terminal
from llmvitals.errors import ConfigError
from llmvitals.routing import Route
from llmvitals.rules.files import shipped
from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.rules.rule import Rule, Rules
    from llmvitals.settings import Settings

Folder = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="The folder of rules; default: the setting.")
]
DEFAULT: Final = "(default)"


def check(
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the rule files. Every error is printed with its place and what to write instead.

    The exit code is 2 if there is an error. Warnings do not change it.
    """
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415 - nor this
    from llmvitals.ruletest.load import load_tests  # noqa: PLC0415 - other commands don't need it

    settings = settings_.load()
    where = _there(folder, settings)
    rules = load_engine(where, duration(settings.pane)).rules
    load_tests(where, [rule.name for rule in rules.rules], duration(settings.pane))
    rows = [_row(rules, rule) for rule in rules.rules]
    if as_json:
        typer.echo(json.dumps({"rules": rows, "warnings": rules.warnings}, ensure_ascii=False, indent=2))
        return
    table = Table(box=None)
    for name in rows[0] if rows else ():
        table.add_column(name, no_wrap=name in ("rule", "kind", "severity"), overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    console = terminal()
    console.print(table)
    for warning in rules.warnings:
        console.print(warning, style="yellow", highlight=False)
    console.print("1 rule, fine" if len(rows) == 1 else f"{len(rows)} rules, fine", highlight=False)


def run_tests(
    folder: Folder = None,
    run: Annotated[str, typer.Option(help="Run only tests whose name contains this text.")] = "",
    require_coverage: Annotated[bool, typer.Option(help="Fail when a rule has no test.")] = False,
) -> None:
    """Run the tests beside the rules (`*_test.yaml`): calls go in, alerts are compared.

    Prints the differences, and the rules that no test expects to fire. The exit code is 1 if a test fails, 2
    if a file is wrong.
    """
    from llmvitals.cli.outcomes import run_suites, uncovered  # noqa: PLC0415 - other commands don't need it
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415 - nor this
    from llmvitals.ruletest import Runner, load_tests  # noqa: PLC0415 - nor this

    settings = settings_.load()
    where, pane = _there(folder, settings), duration(settings.pane)
    rules = load_engine(where, pane).rules
    names = [rule.name for rule in rules.rules]
    suites = load_tests(where, names, pane)
    runner, console = Runner(settings, where), terminal(highlight=False, soft_wrap=True)
    passed = run_suites(runner, suites, console, wanted=run)
    missing, eager = uncovered(suites, names)
    for what, found in (("to fire", missing), ("not to fire", eager)):
        if found and (require_coverage or not run):
            console.print(f"no test asks these rules {what}: {', '.join(found)}", style="yellow")
    raise typer.Exit(0 if passed and not (require_coverage and missing) else 1)


def _there(folder: Path | None, settings: Settings) -> Path:
    """Return the folder of rules; if none is named and there is no alerts/, the starter rules, with a note.

    Raises ConfigError if a named folder is not there, so that a typo does not pass.
    """
    where = folder or settings.alerts
    if where.is_dir():
        return where
    if folder is None and "alerts" not in settings.model_fields_set:
        starter = shipped()
        typer.echo(
            f"There is no folder {where} here: these are the starter rules, which come with llmvitals, in "
            f"{starter}. A worker here would have no rules: copy that folder to {where} first.",
            err=True,
        )
        return starter
    raise ConfigError(f"{where} is no folder: name one with rules in it (*.yaml)")


def _row(rules: Rules, rule: Rule) -> dict[str, str]:
    condition = rule.condition
    return {
        "rule": rule.name,
        "kind": condition.kind,
        "watches": f"{condition.metric} over {condition.window_text}",
        "by": ", ".join(condition.by),
        "severity": rule.severity,
        "goes to": rule.notify.get("slack", "") or _ways(rules, rule),
    }


def _ways(rules: Rules, rule: Rule) -> str:
    """Return the channels that a rule's alerts may go to, each with its condition, if there is one."""
    from llmvitals.rules.vocabulary import decided  # noqa: PLC0415 - other commands don't need it

    ways: dict[str, str] = {}
    for route in (*rules.routing.routes, Route()):
        channel = route.channel or DEFAULT
        fates = [(matcher, decided(matcher, rule)) for matcher in route.matchers]
        if any(fate is False for _, fate in fates):
            continue
        later = " and ".join(str(matcher) for matcher, fate in fates if fate is None)
        if not later:
            others = [f"{there} if {when}" for when, there in ways.items()]
            return channel if set(ways.values()) <= {channel} else ", ".join([*others, f"else {channel}"])
        ways[later] = channel
    return DEFAULT


def add(alerts: typer.Typer) -> None:
    """Put the commands with the others about alerts."""
    alerts.command()(check)
    alerts.command("test")(run_tests)
