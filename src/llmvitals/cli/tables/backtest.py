"""The outcome of a backtest as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.episodes import differences
from llmvitals.backtest.show import labelled, value, when
from llmvitals.metrics.quantity import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from llmvitals.backtest.episodes import Episode, Record
    from llmvitals.backtest.run import Outcome

MOST: Final = 40
"""Episodes that differ that are listed; `--json` has all."""


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the outcome."""
    console.print(_head(outcome), highlight=False)
    late = outcome.calls["late"]
    if late:
        console.print(
            f"{late:,} calls were late: they counted in a later pane than their own. "
            "Sort a file by ts to see each in its own.",
            style="yellow",
        )
    if outcome.calls["dead_lettered"]:
        console.print(f"{outcome.calls['dead_lettered']:,} records could not be read", style="yellow")
    for verdict in outcome.verdicts:
        console.print()
        if len(outcome.verdicts) > 1:
            console.print(Text(f"{verdict.folder}", style="bold"))
        if any(record.fired for record in verdict.records):
            console.print(_records(verdict.records))
        if silent := [record.rule for record in verdict.records if not record.fired]:
            console.print(Text(f"never fired: {', '.join(silent)}", style="dim"))
    if len(outcome.verdicts) > 1:
        console.print()
        _difference(outcome, console)


def _head(outcome: Outcome) -> str:
    calls, rate = outcome.calls["in"], outcome.calls["in"] / max(outcome.seconds, 1e-3)
    took = f"read in {outcome.seconds:,.1f} s, {rate:,.0f} calls/s"
    if outcome.span is None:
        return f"{calls:,} calls: nothing to judge the rules by"
    seen = outcome.span
    return f"{calls:,} calls from {when(seen.begin)} to {when(seen.end)} UTC · {took}"


def _records(found: Sequence[Record]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("rule", overflow="fold")
    for name in ("fired", "a week", "first, last", "in all, median", "flaps", "highest"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in found:
        if record.fired:
            table.add_row(Text(record.rule), *_row(record))
    return table


def _row(record: Record) -> Iterator[Text]:
    going = f", {record.open} on" if record.open else ""
    yield two(f"{record.fired:,}", f"in {record.series:,} series{going}")
    yield Text(f"{record.per_week:,.1f}")
    yield two(when(record.first), when(record.last) if record.fired > 1 else "")
    yield two(span(record.total), span(record.median) if record.fired > 1 else "")
    yield Text(f"{record.flaps:,}" if record.flaps else "–", style="red" if record.flaps else "dim")
    yield two(value(record.worst, record.unit), f"of {value(record.limit, record.unit)}")


def two(first: str, second: str) -> Text:
    """Two lines, the second one dim."""
    return Text.assemble(first, "\n" if second else "", (second, "dim"))


def _difference(outcome: Outcome, console: Console) -> None:
    ours, theirs = (str(verdict.folder) for verdict in outcome.verdicts)
    table = Table("rule", box=None, pad_edge=False)
    for name in (f"only {ours}", f"only {theirs}", "same", "other times"):
        table.add_column(Text(name), justify="right")
    for change in differences(outcome.pairs):
        counts = (change.only_ours, change.only_theirs, change.same, change.moved)
        table.add_row(Text(change.rule), *(f"{count:,}" if count else "" for count in counts))
    console.print(table)
    differing = [pair for pair in outcome.pairs if not pair.same]
    if not differing:
        console.print("Both say the same, at the same times.")
        return
    console.print()
    listed = Table("rule", "series", box=None, pad_edge=False)
    listed.add_column(Text(ours))
    listed.add_column(Text(theirs))
    for pair in differing[:MOST]:
        either = pair.either
        listed.add_row(Text(either.rule), Text(labelled(either.labels)), _life(pair.ours), _life(pair.theirs))
    console.print(listed)
    if len(differing) > MOST:
        console.print(f"… and {len(differing) - MOST:,} more: --json has all")


def _life(episode: Episode | None) -> Text:
    if episode is None:
        return Text("–", style="dim")
    if episode.end is None:
        return Text(f"{when(episode.begin)}, goes on")
    return Text(f"{when(episode.begin)} for {span(episode.end - episode.begin)}")
