"""Commands for drift and canaries: drift show, drift baseline create, show and accept, canary show."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llmvitals import settings as settings_
from llmvitals.cli.stored import Where, name_store, pairs, read_drift
from llmvitals.console import console as terminal
from llmvitals.console import plain_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.backtest.training import Learned
    from llmvitals.record.frame import BaselineCommand
    from llmvitals.rules.engine import RuleEngine
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

EARLIER: Final = 300 * 1_000_000
"""How long (µs) a call may lie in Kafka before the end that its own clock gives."""

baseline = typer.Typer(no_args_is_help=True, help="Show, create and accept the references of drift rules.")

Name = Annotated[str, typer.Argument(metavar="RULE", help="A rule of kind drift.")]

drift = typer.Typer(
    no_args_is_help=True,
    help="Show how far the content of calls has changed, and manage the references of drift rules.",
)
canary = typer.Typer(no_args_is_help=True, help="Compare new versions with old ones.")

Since = Annotated[str, typer.Option(help="How far back (24h), or a time (2026-11-24T00:00:00Z).")]
OnlyRule = Annotated[str | None, typer.Option(help="Only this rule.")]
Png = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a PNG file; needs llmvitals[charts].")]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")]


@baseline.command()
def create(
    rule: Name,
    since: Annotated[
        str,
        typer.Option("--from", help="The start of the calls to learn from: how far back (7d), or a time."),
    ] = "7d",
    until: Annotated[
        str, typer.Option("--to", help="The end of these calls, in the form of --from; 0s is now.")
    ] = "0s",
    dry: Annotated[bool, typer.Option("--dry-run", help="Learn and print, but change nothing.")] = False,
) -> None:
    """Learn references from past calls in Kafka, and use them from now on."""
    from llmvitals.store.question import moment  # noqa: PLC0415 - other commands don't need it

    settings, now = settings_.load(), time.time_ns() // 1_000
    engine, bound = _rule(settings, rule)
    span = moment(since, now), moment(until, now)
    if span[0] >= span[1]:
        raise typer.BadParameter("--from has to be before --to", param_hint="--from")
    learned = asyncio.run(_learn(settings, engine, bound, span))
    _print_learned(engine, bound, learned)
    commands = [_command(bound, entry.series, entry.memory, now) for entry in learned if entry.memory]
    if not commands:
        typer.echo("No series had enough calls; nothing was changed.", err=True)
        raise typer.Exit(1)
    if not dry:
        asyncio.run(_send(settings, commands))
        typer.echo(f"{len(commands):,} of {len(learned):,} series use what was learned from now on.")


@baseline.command()
def show(
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    where: Where = None,
    since: Annotated[str, typer.Option(help="How far back (1h), or a time (2026-11-24T00:00:00Z).")] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """Show the newest references: age, calls, overdispersion, and the drift statistic against them."""
    from llmvitals.cli.tables.drift import print_references  # noqa: PLC0415 - other commands don't need it

    found = read_drift(since, rule, where, as_json=as_json)
    if found is not None:
        print_references(found, terminal())


@baseline.command()
def accept(rule: Name, where: Where = None) -> None:
    """Accept the present calls of a series as normal: forget its reference, and learn a new one."""
    from llmvitals.cli.tables import drift as tables  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import drift as report  # noqa: PLC0415 - nor this
    from llmvitals.store.registry import configured  # noqa: PLC0415 - nor this

    settings, labels = settings_.load(), pairs(where)
    engine, bound = _rule(settings, rule)
    series = _series(engine, bound, labels)
    newest = asyncio.run(report.found(settings, "1h", rule, labels)) if configured(settings) else None
    for course in newest.courses if newest else ():
        terminal().print(tables.title(course), tables.head(course))
    asyncio.run(_send(settings, [_command(bound, series, None, time.time_ns() // 1_000)]))
    typer.echo(f"{rule} learns a new reference; until it has one, this series raises no alert.")


def _rule(settings: Settings, name: str) -> tuple[RuleEngine, Rule]:
    from llmvitals.backtest.training import learning_rule  # noqa: PLC0415
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415
    from llmvitals.window import duration  # noqa: PLC0415

    engine = load_engine(settings.alerts, duration(settings.pane))
    return engine, learning_rule(engine, name)[0]


def _names(engine: RuleEngine, rule: Rule) -> tuple[str, ...]:
    return next(view.by for view in engine.views if view.name == rule.view)


def _series(engine: RuleEngine, rule: Rule, labels: Mapping[str, str]) -> tuple[str, ...]:
    names = _names(engine, rule)
    if set(names) != set(labels):
        wanted = " ".join(f"{name}=…" for name in names) or "no NAME=VALUE: it is one series"
        raise typer.BadParameter(f"{rule.name} needs {wanted}", param_hint="NAME=VALUE")
    return tuple(labels[name] for name in names)


def _command(rule: Rule, series: tuple[str, ...], memory: bytes | None, at: int) -> BaselineCommand:
    from llmvitals.cli.silence import login  # noqa: PLC0415
    from llmvitals.record.frame import BaselineCommand  # noqa: PLC0415

    return BaselineCommand(rule.view, series, rule.name, memory, at, login())


async def _learn(
    settings: Settings, engine: RuleEngine, rule: Rule, span: tuple[int, int]
) -> Sequence[Learned]:
    from llmvitals.backtest.training import learn  # noqa: PLC0415
    from llmvitals.cli.tables.progress import text_progress  # noqa: PLC0415
    from llmvitals.runtime.kafka.connect import find_topics  # noqa: PLC0415
    from llmvitals.runtime.kafka.past_calls import replay  # noqa: PLC0415

    partitions = await find_topics(settings, settings.sources)
    with text_progress("reading calls") as show_text:
        for turn, lesson in enumerate(learn(settings, engine, rule, span=span, sources=partitions)):
            what = ("looking", "learning")[turn]

            def show_progress(lesson: object = lesson, what: str = what) -> None:
                show_text(f"{what}: {getattr(lesson, 'calls', 0):,} calls")

            await replay(settings, lesson, partitions, since=span[0] - EARLIER, told=show_progress)
            last = lesson
    return last.learned


def _print_learned(engine: RuleEngine, rule: Rule, learned: Sequence[Learned]) -> None:
    table = plain_table(*_names(engine, rule), figures=("minutes", "calls", "φ"), last=("",))
    for entry in learned:
        made = entry.baseline
        enough = "" if made else "too few calls to learn from"
        table.add_row(
            *entry.series, f"{entry.minutes:,}", f"{made.calls:,}" if made else "–",
            f"{made.overdispersion:.2f}" if made else "–", enough,
        )  # fmt: skip
    terminal().print(table)


async def _send(settings: Settings, commands: Sequence[BaselineCommand]) -> None:
    """Send commands to the partitions that own their series."""
    from llmvitals.record.log import Message, Topic  # noqa: PLC0415
    from llmvitals.record.series import shard_of  # noqa: PLC0415
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415
    from llmvitals.runtime.kafka.producer import Producer  # noqa: PLC0415

    name = settings.topic(Topic.PARTIALS)
    shards = (await find_topics(settings, [name]))[name]
    producer = Producer(settings, "order")
    try:
        async with asking(settings, 60):
            await producer.start()
            await producer.deliver(
                [
                    Message(
                        Topic.PARTIALS, b"order", command.encode(),
                        partition=shard_of(command.view, command.series, shards),
                    )
                    for command in commands
                ]
            )  # fmt: skip
    finally:
        await producer.stop()


@drift.command("show")
def show_drift(
    where: Where = None,
    since: Since = "24h",
    rule: OnlyRule = None,
    png: Png = None,
    *,
    as_json: Json = False,
) -> None:
    """Draw the distance of each series from its reference over time; an alert fires at 1."""
    from llmvitals.cli.tables.drift import print_charts  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import picture  # noqa: PLC0415 - nor this

    found = read_drift(since, rule, where, as_json=as_json)
    if png is not None and found is not None:
        typer.echo(f"{png}: {picture.drift(found, png)} series")
    elif found is not None:
        print_charts(found, terminal())


@canary.command("show")
def show_canary(
    where: Where = None,
    since: Since = "24h",
    rule: OnlyRule = None,
    png: Png = None,
    *,
    as_json: Json = False,
) -> None:
    """Compare new versions with old ones: effects with their intervals, and the evidence over time."""
    from llmvitals.cli.tables.drift import print_comparisons  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import canary as report  # noqa: PLC0415 - nor this
    from llmvitals.report import picture  # noqa: PLC0415 - nor this

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(report.found(settings, since, rule, pairs(where)))
    if as_json:
        typer.echo(json.dumps(report.plain(found), ensure_ascii=False))
    elif png is not None:
        typer.echo(f"{png}: {picture.canary(found, png)} comparisons")
    else:
        print_comparisons(found, terminal())


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    drift.add_typer(baseline, name="baseline")
    app.add_typer(drift, name="drift")
    app.add_typer(canary, name="canary")
