"""The references of drift rules: drift baseline create, show and accept."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llmvitals import settings as settings_
from llmvitals.cli.stored import read_drift
from llmvitals.cli.where import Where, pairs
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
    watch, found = _rule(settings, rule)
    span = moment(since, now), moment(until, now)
    if span[0] >= span[1]:
        raise typer.BadParameter("nothing lies between --from and --to", param_hint="--from")
    learned = asyncio.run(_learn(settings, watch, found, span))
    _told(watch, found, learned)
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
    from llmvitals.cli.tables.drift import print_references  # noqa: PLC0415 - other commands don't need it

    found = read_drift(since, rule, where, as_json=as_json)
    if found is not None:
        print_references(found, terminal())


@baseline.command()
def accept(rule: Name, where: Where = None) -> None:
    """What a series is now is the new normal: forget its reference, and learn anew."""
    from llmvitals.cli.tables import drift as tables  # noqa: PLC0415 - other commands don't need it
    from llmvitals.report import drift as report  # noqa: PLC0415 - nor this
    from llmvitals.store.registry import configured  # noqa: PLC0415 - nor this

    settings, labels = settings_.load(), pairs(where)
    watch, found = _rule(settings, rule)
    series = _series(watch, found, labels)
    seen = asyncio.run(report.found(settings, "1h", rule, labels)) if configured(settings) else None
    for course in seen.courses if seen else ():
        terminal().print(tables.title(course), tables.head(course))
    asyncio.run(_send(settings, [_order(found, series, None, time.time_ns() // 1_000)]))
    typer.echo(f"{rule} learns anew, and says nothing of this series until it has.")


def _rule(settings: Settings, name: str) -> tuple[RuleEngine, Rule]:
    from llmvitals.backtest.training import learning_rule  # noqa: PLC0415
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415
    from llmvitals.window import duration  # noqa: PLC0415

    watch = load_engine(settings.alerts, duration(settings.pane))
    return watch, learning_rule(watch, name)[0]


def _names(watch: RuleEngine, rule: Rule) -> tuple[str, ...]:
    return next(view.by for view in watch.views if view.name == rule.view)


def _series(watch: RuleEngine, rule: Rule, labels: Mapping[str, str]) -> tuple[str, ...]:
    names = _names(watch, rule)
    if set(names) != set(labels):
        wanted = " ".join(f"{name}=…" for name in names) or "no NAME=VALUE: it is one series"
        raise typer.BadParameter(f"{rule.name} needs {wanted}", param_hint="NAME=VALUE")
    return tuple(labels[name] for name in names)


def _order(rule: Rule, series: tuple[str, ...], memory: bytes | None, at: int) -> BaselineCommand:
    from llmvitals.cli.silence import login  # noqa: PLC0415
    from llmvitals.record.baseline_command import BaselineCommand  # noqa: PLC0415

    return BaselineCommand(rule.view, series, rule.name, memory, at, login())


async def _learn(
    settings: Settings, watch: RuleEngine, rule: Rule, span: tuple[int, int]
) -> Sequence[Learned]:
    from llmvitals.backtest.training import learn  # noqa: PLC0415
    from llmvitals.cli.tables.progress import text_progress  # noqa: PLC0415
    from llmvitals.runtime.kafka.connect import find_topics  # noqa: PLC0415
    from llmvitals.runtime.kafka.past_calls import replay  # noqa: PLC0415

    partitions = await find_topics(settings, settings.sources)
    with text_progress("reading calls") as show_text:
        for turn, lesson in enumerate(learn(settings, watch, rule, span=span, sources=partitions)):
            what = ("looking", "learning")[turn]

            def told(lesson: object = lesson, what: str = what) -> None:
                show_text(f"{what}: {getattr(lesson, 'calls', 0):,} calls")

            await replay(settings, lesson, partitions, since=span[0] - EARLIER, told=told)
            last = lesson
    return last.learned


def _told(watch: RuleEngine, rule: Rule, learned: Sequence[Learned]) -> None:
    from rich.table import Table  # noqa: PLC0415

    table = Table(*_names(watch, rule), box=None, pad_edge=False, padding=(0, 2, 0, 0))
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
