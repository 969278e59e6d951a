"""Commands for authors of rules: alerts check, alerts test."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.text import Text

from llmvitals import settings as settings_
from llmvitals.cli.rule_files import RulesOption, chosen, folder_of, is_test, read_rules
from llmvitals.console import console as terminal
from llmvitals.console import plain_table
from llmvitals.errors import RuleError
from llmvitals.routing import Route
from llmvitals.rules.files import raise_all
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from llmvitals.rules.rule import Rule, Rules
    from llmvitals.ruletest.rule_test import RuleTestFile
    from llmvitals.ruletest.run import Outcome, Runner

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FOLDER|FILE]...",
        help="Folders or files, *_test.yaml too; default: the folder of the settings.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER|FILE]", help="The rules; default: the folder of the settings."),
]
DEFAULT: Final = "(default)"


def run_suites(runner: Runner, suites: Sequence[RuleTestFile], console: Console, *, wanted: str = "") -> bool:
    """Run the tests whose name contains `wanted`, and print each outcome. Returns whether all passed."""
    began, ran, failed = time.monotonic(), 0, 0
    for suite in suites:
        cases = [case for case in suite.tests if wanted.lower() in case.name.lower()]
        for case in cases:
            with console.status(Text(f"{suite.path.name}: {case.name}")):
                outcome = runner.run(suite, case)
            ran, failed = ran + 1, failed + bool(outcome.failures)
            _print_outcome(suite, outcome, console)
    if wanted and not ran:
        console.print(f"no test has {wanted!r} in its name", style="yellow")
        return False
    counts = f"{ran:,} tests, {ran - failed:,} passed, {failed:,} failed"
    took = f" in {time.monotonic() - began:.1f} s"
    console.print(Text.assemble((counts, "red" if failed else "green"), took))
    return not failed


def uncovered(suites: Iterable[RuleTestFile], rules: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the rules that no test expects to fire, and those that no test expects to stay quiet."""
    cases = [case for suite in suites for case in suite.tests]
    fire = {rule for case in cases for rule in case.fires}
    quiet = {rule for case in cases for rule in case.quiet(rules)}
    return [rule for rule in rules if rule not in fire], [rule for rule in rules if rule not in quiet]


def _print_outcome(suite: RuleTestFile, outcome: Outcome, console: Console) -> None:
    if not outcome.failures:
        console.print(Text.assemble(("ok", "green"), f"    {suite.path.name}: {outcome.test.name}"))
        return
    where = f"{suite.path}:{outcome.test.line}"
    console.print(Text.assemble(("FAIL", "red"), f"  {where}: {outcome.test.name}"))
    for failure in outcome.failures:
        console.print(f"      line {failure.line}: {failure.what}")
        for sign, text in failure.lines:
            console.print(f"        {sign} {text}", style="red" if sign == "-" else "green")


def check(
    paths: Paths = None,
    rules: RulesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check rule files; print each error with its place and what to write instead.

    A single file is checked together with the others of its folder; only its own errors are printed. The exit
    code is 2 if there is an error. Warnings do not change it.
    """
    settings = settings_.load()
    groups: dict[Path, list[Path]] = {}
    for path in chosen(paths or [], rules, settings):
        groups.setdefault(folder_of(path), []).append(path)
    found = [_checked(folder, files, duration(settings.pane)) for folder, files in groups.items()]
    rows = [row for one in found for row in one.rows]
    warnings = [warning for one in found for warning in one.warnings]
    if as_json:
        typer.echo(json.dumps({"rules": rows, "warnings": warnings}, ensure_ascii=False, indent=2))
        return
    console = terminal(soft_wrap=True)
    if rows:
        table = plain_table("rule", "watches", "by", "severity", "goes to")
        table.columns[0].no_wrap = True
        for row in rows:
            watches = f"{row['kind']}: {row['watches']}"
            table.add_row(row["rule"], watches, row["by"], row["severity"], row["goes to"])
        terminal().print(table)
    for warning in warnings:
        console.print(warning, style="yellow", highlight=False)
    tests = sum(one.tests for one in found)
    counts = [f"{len(rows)} rule{'s' * (len(rows) != 1)}"] if rows or not tests else []
    counts += [f"{tests} test{'s' * (tests != 1)}"] if tests else []
    console.print(f"{' and '.join(counts)}, fine", highlight=False)


class _Summary(NamedTuple):
    """What was read. tests: their number."""

    rows: list[dict[str, str]]
    warnings: list[str]
    tests: int


def _checked(folder: Path, paths: Sequence[Path], pane: int) -> _Summary:
    """Check the folder, or some of its files. Raises RuleError."""
    from llmvitals.ruletest.load import load_tests  # noqa: PLC0415 - other commands don't need it

    files = set() if folder in paths else set(paths)
    rules = read_rules(folder, pane, files)
    suites = []
    if not files or any(map(is_test, files)):
        try:
            suites = load_tests(folder, [rule.name for rule in rules.rules], pane)
        except RuleError as error:
            raise_all([one for one in error.all if not files or Path(one.file) in files])
    if not files:
        return _Summary([_row(rules, rule) for rule in rules.rules], [*rules.warnings], 0)
    mine = [rule for rule in rules.rules if _file(rule) in files]
    places = tuple(f"{file}:" for file in files)
    warnings = [warning for warning in rules.warnings if warning.startswith(places)]
    tests = sum(len(suite.tests) for suite in suites if suite.path in files)
    return _Summary([_row(rules, rule) for rule in mine], warnings, tests)


def run_tests(
    folder: Folder = None,
    rules: RulesOption = None,
    run: Annotated[str, typer.Option(help="Run only tests whose name contains this text.")] = "",
    require_coverage: Annotated[bool, typer.Option(help="Fail if a rule has no test.")] = False,
) -> None:
    """Run the tests beside the rules (`*_test.yaml`): they give calls and compare the alerts.

    For a file of rules it runs the tests in NAME_test.yaml; for a file of tests, these. It prints the
    differences and the rules that no test expects to fire. The exit code is 1 if a test fails, 2 if a file is
    wrong.
    """
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415 - other commands don't need it
    from llmvitals.ruletest import Runner, load_tests  # noqa: PLC0415 - nor this

    settings = settings_.load()
    (path,) = chosen([folder] if folder else [], rules, settings)
    where, pane = folder_of(path), duration(settings.pane)
    loaded = load_engine(where, pane).rules.rules
    suites = load_tests(where, [rule.name for rule in loaded], pane)
    if path.is_file():
        stem = path.stem.removesuffix("_test")
        suites = [suite for suite in suites if suite.path.stem == f"{stem}_test"]
        files = {name for suite in suites for name in suite.rules} if is_test(path) else {path.name}
        loaded = tuple(rule for rule in loaded if not files or _file(rule).name in files)
    names = [rule.name for rule in loaded]
    runner, console = Runner(settings, where), terminal(highlight=False, soft_wrap=True)
    passed = run_suites(runner, suites, console, wanted=run)
    missing, eager = uncovered(suites, names)
    for what, found in (("to fire", missing), ("not to fire", eager)):
        if found and (require_coverage or not run):
            console.print(f"no test asks these rules {what}: {', '.join(found)}", style="yellow")
    raise typer.Exit(0 if passed and not (require_coverage and missing) else 1)


def _file(rule: Rule) -> Path:
    """The file of a rule."""
    return Path(rule.place.rpartition(":")[0])


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
