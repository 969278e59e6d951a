"""The references of drift rules: drift baseline create, show and accept."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llmvitals import settings as settings_
from llmvitals.cli.where import pairs
from llmvitals.console import console as terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.backtest.training import Learned
    from llmvitals.record.baseline_command import BaselineCommand
    from llmvitals.rules.engine import RuleEngine
    from llmvitals.rules.rule import Rule
    from llmvitals.settings import Settings

EARLIER: Final = 300 * 1_000_000
"""A call may be in Kafka so long (µs) before it ends by its own clock."""

baseline = typer.Typer(no_args_is_help=True, help="What drift is measured against: create, show, accept.")

Name = Annotated[str, typer.Argument(metavar="RULE", help="A rule of kind drift.")]
Where = Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="The series: app=chat")]


@baseline.command()
def create(
    rule: Name,
    since: Annotated[str, typer.Option("--from", help="How far back (7d), or a time.")] = "7d",
    until: Annotated[str, typer.Option("--to", help="As --from; 0s: now.")] = "0s",
    dry: Annotated[bool, typer.Option("--dry-run", help="Learn and tell, but change nothing.")] = False,
) -> None:
    """Learn references from past calls, which are read from Kafka again, and go by them from now on."""
    from llmvitals.store.question import moment  # noqa: PLC0415 - other commands don't need it

    settings, now = settings_.load(), time.time_ns() // 1_000
    engine, found = _rule(settings, rule)
    span = moment(since, now), moment(until, now)
    if span[0] >= span[1]:
        raise typer.BadParameter("nothing lies between --from and --to", param_hint="--from")
    learned = asyncio.run(_learn(settings, engine, found, span))
    _told(engine, found, learned)
    orders = [_order(found, one.series, one.memory, now) for one in learned if one.memory]
    if not orders:
        typer.echo("No series had enough calls: nothing is changed.", err=True)
        raise typer.Exit(1)
    if not dry:
        asyncio.run(_send(settings, orders))
        typer.echo(f"{len(orders):,} of {len(learned):,} series go by what was learned from now on.")


@baseline.command()
def show(
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    where: Where = None,
    since: Annotated[str, typer.Option(help="How far back (1h), or a time.")] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """Show the references as they stood last: age, calls, overdispersion, and the statistic against them."""
    from llmvitals.cli.drift import as_found  # noqa: PLC0415 - they know each other
    from llmvitals.report import drift as report  # noqa: PLC0415

    seen = as_found(since, rule, where, as_json=as_json)
    if seen is not None:
        report.references(seen, terminal())


@baseline.command()
def accept(rule: Name, where: Where = None) -> None:
    """What a series is now is the new normal: forget its reference, and learn anew."""
    from llmvitals.report import drift as report  # noqa: PLC0415

    settings, labels = settings_.load(), pairs(where)
    engine, found = _rule(settings, rule)
    series = _series(engine, found, labels)
    seen = asyncio.run(report.found(settings, "1h", rule, labels)) if _stores(settings) else None
    for course in seen.courses if seen else ():
        terminal().print(report.title(course), report.head(course))
    asyncio.run(_send(settings, [_order(found, series, None, time.time_ns() // 1_000)]))
    typer.echo(f"{rule} learns anew, and says nothing of this series until it has.")


def _stores(settings: Settings) -> bool:
    return bool(settings.influx_url or settings.sqlite)


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


def _order(rule: Rule, series: tuple[str, ...], memory: bytes | None, at: int) -> BaselineCommand:
    from llmvitals.cli.silence import login  # noqa: PLC0415
    from llmvitals.record.baseline_command import BaselineCommand  # noqa: PLC0415

    return BaselineCommand(rule.view, series, rule.name, memory, at, login())


async def _learn(
    settings: Settings, engine: RuleEngine, rule: Rule, span: tuple[int, int]
) -> Sequence[Learned]:
    from rich.progress import Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    from llmvitals.backtest.training import learn  # noqa: PLC0415
    from llmvitals.runtime.kafka.connect import find_topics  # noqa: PLC0415
    from llmvitals.runtime.kafka.past_calls import replay  # noqa: PLC0415

    partitions = await find_topics(settings, settings.sources)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("reading calls", total=None)
        for turn, lesson in enumerate(learn(settings, engine, rule, span=span, sources=partitions)):
            what = ("looking", "learning")[turn]

            def told(lesson: object = lesson, what: str = what) -> None:
                bar.update(task, description=f"{what}: {getattr(lesson, 'calls', 0):,} calls")

            await replay(settings, lesson, partitions, since=span[0] - EARLIER, told=told)
            last = lesson
    return last.learned


def _told(engine: RuleEngine, rule: Rule, learned: Sequence[Learned]) -> None:
    from rich.table import Table  # noqa: PLC0415

    table = Table(*_names(engine, rule), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("minutes", "calls", "φ", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for one in learned:
        made = one.baseline
        enough = "" if made else "too little to learn from"
        table.add_row(
            *one.series, f"{one.minutes:,}", f"{made.calls:,}" if made else "–",
            f"{made.overdispersion:.2f}" if made else "–", enough,
        )  # fmt: skip
    terminal().print(table)


async def _send(settings: Settings, orders: Sequence[BaselineCommand]) -> None:
    """Put orders where the frames of their series are."""
    from llmvitals.record.frame import shard_of  # noqa: PLC0415
    from llmvitals.record.log import Message, Topic  # noqa: PLC0415
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415
    from llmvitals.runtime.kafka.producer import Producer  # noqa: PLC0415

    name = settings.topic(Topic.PARTIALS)
    shards = (await find_topics(settings, [name]))[name]
    outbox = Producer(settings, "order")
    try:
        async with asking(settings, 60):
            await outbox.start()
            await outbox.deliver(
                [
                    Message(
                        Topic.PARTIALS, b"order", order.encode(),
                        partition=shard_of(order.view, order.series, shards),
                    )
                    for order in orders
                ]
            )  # fmt: skip
    finally:
        await outbox.stop()
