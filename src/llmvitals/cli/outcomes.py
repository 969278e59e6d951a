"""Runs the tests of rules, and prints their outcomes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from llmvitals.ruletest.rule_test import RuleTestFile
    from llmvitals.ruletest.run import Outcome, Runner


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
