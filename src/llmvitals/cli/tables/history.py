"""Past alerts, the report of how rules have done, and the outcome of a backtest, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from llmvitals.backtest.episodes import differences
from llmvitals.backtest.show import labelled, value, when
from llmvitals.console import plain_table, stacked
from llmvitals.metrics.quantity import span
from llmvitals.window import DAY, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from llmvitals.backtest.episodes import Episode, Record
    from llmvitals.backtest.run import Outcome
    from llmvitals.report.advice import Level
    from llmvitals.report.run import Report
    from llmvitals.report.summary import RuleSummary, Spread
    from llmvitals.store.query import Change

MOST: Final = 40
"""Episodes that differ that are listed; `--json` has all."""

_MODELS: Final = 10
"""Models without a price that are listed."""

COLORS: Final = {
    "firing": "red", "level": "red", "resolved": "green", "acknowledged": "cyan", "silenced": "dim",
}  # fmt: skip


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
    figures = ("fired", "a week", "first,\nlast", "in all,\nmedian", "flaps", "highest")
    table = plain_table("rule", figures=figures)
    for record in found:
        if record.fired:
            table.add_row(record.rule, *_row(record))
    return table


def _row(record: Record) -> Iterator[Text]:
    going = f"{record.open:,} still on" if record.open else ""
    yield stacked(f"{record.fired:,}", f"{record.series:,} series", going)
    yield Text(f"{record.per_week:,.1f}")
    yield stacked(when(record.first), when(record.last) if record.fired > 1 else "")
    yield stacked(span(record.total), span(record.median) if record.fired > 1 else "")
    yield Text(f"{record.flaps:,}" if record.flaps else "–", style="red" if record.flaps else "dim")
    yield stacked(value(record.worst, record.unit), f"of {value(record.limit, record.unit)}")


def _difference(outcome: Outcome, console: Console) -> None:
    ours, theirs = (str(verdict.folder) for verdict in outcome.verdicts)
    figures = (f"only {ours}", f"only {theirs}", "same", "other times")
    table = plain_table("rule", figures=figures)
    for change in differences(outcome.pairs):
        counts = (change.only_ours, change.only_theirs, change.same, change.moved)
        table.add_row(change.rule, *(f"{count:,}" if count else "" for count in counts))
    console.print(table)
    differing = [pair for pair in outcome.pairs if not pair.same]
    if not differing:
        console.print("Both say the same, at the same times.")
        return
    console.print()
    listed = plain_table("rule", "series", ours, theirs)
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


def print_history(found: Sequence[Change], console: Console) -> None:
    """Print the changes as a table, the newest last."""
    if not found:
        console.print("No alert has changed in this time.")
        return
    figures = ("value", "limit", "lasted")
    table = plain_table("when (UTC)", "rule", "series", "state", figures=figures, last=("by",))
    for change in found:
        state = " ".join(filter(None, (change.state, change.facet, change.level)))
        table.add_row(
            when(change.at, seconds=True),
            change.rule,
            Text.assemble(
                labelled(change.labels), " " * bool(change.labels), (change.fingerprint[:8], "dim")
            ),
            Text(state, style=COLORS.get(change.state, "")),
            value(change.value, change.unit),
            value(change.limit, change.unit),
            "" if change.state == "firing" else span(int(change.seconds * SECOND)),
            change.by,
        )
    console.print(table)


def print_report(found: Report, console: Console) -> None:
    """Print the report."""
    days = (found.span.end - found.span.begin) / DAY
    rules = sum(line.record.fired > 0 for line in found.lines)
    acknowledged = sum(one.acknowledged is not None for one in found.alerts)
    head = f" of {rules} rules in {days:,.0f} days · {len(found.alerts) / found.span.weeks:,.1f} a week"
    console.print(
        Text.assemble((f"{len(found.alerts):,} alerts", "bold"), head, f" · {acknowledged:,} acknowledged")
    )
    loud = [line for line in found.lines if line.record.fired]
    if loud:
        console.print(_rules(loud))
    silent = [line.record.rule for line in found.lines if not line.record.fired]
    if silent:
        _title(console, "Never fired", "is the limit out of reach, or does nothing go wrong?")
        console.print(Text("  " + ", ".join(silent)))
    if found.noisiest:
        _title(console, "Noisiest series", "")
        for noisy in found.noisiest:
            console.print(Text(f"  {noisy.fired:>5,} × {noisy.rule}  {labelled(dict(noisy.labels))}"))
    if found.advice:
        _title(console, "What the times suggest", "")
        grid = Table.grid(padding=(0, 2))
        for advice in found.advice:
            grid.add_row(Text(f"  {advice.rule}"), Text(advice.change, "bold"), Text(advice.why))
        console.print(grid)
    _levels(found.levels, console)
    if found.unpriced:
        _title(console, "Models without a price", "their calls cost more than budgets know")
        for model in found.unpriced[:_MODELS]:
            near = f"  nearest known: {model.nearest}" if model.nearest else ""
            billed = f"  {model.billed}" if model.billed else ""
            console.print(
                Text(f"  {model.unpriced:>7,} of {model.calls:,} calls  {model.name}{near}{billed}")
            )


def _rules(lines: Sequence[RuleSummary]) -> Table:
    figures = ("fired", "a week", "acknowledged\nafter", "resolved\nafter", "flaps", "at night")
    table = plain_table("rule", figures=figures)
    for line in lines:
        record = line.record
        going = f"{record.open:,} still on" if record.open else ""
        table.add_row(
            record.rule,
            stacked(f"{record.fired:,}", going),
            f"{record.per_week:,.1f}",
            _spread(line.acknowledge),
            _spread(line.resolve),
            Text(f"{record.flaps:,}" if record.flaps else "–", style="red" if record.flaps else "dim"),
            f"{line.night:.0%}",
        )
    return table


def _levels(levels: Sequence[Level], console: Console) -> None:
    if not levels:
        return
    _title(console, "Limits against the past", "by the worst stored value of each series and hour")
    table = plain_table("rule", "limit", "passed,\nhours a week", "once a week it was", "out of")
    for level in levels:
        if level.why:
            table.add_row(level.rule, value(level.limit, level.unit), Text(level.why, style="dim"))
            continue
        once = Text("too little to tell", "dim") if level.once is None else value(level.once, level.unit)
        read = f"{level.values:,} × {level.window}, {level.series:,} series"
        table.add_row(level.rule, value(level.limit, level.unit), f"{level.beyond:,.1f}", once, read)
    console.print(table)


def _title(console: Console, text: str, more: str) -> None:
    console.print()
    console.print(Text.assemble((text, "bold"), (f"  {more}", "dim")))


def _spread(found: Spread | None) -> Text:
    if found is None:
        return Text("–", style="dim")
    most = ("9 of 10 within", span(found.p90)) if found.count > 1 else ()
    return stacked(span(found.median), *most)
