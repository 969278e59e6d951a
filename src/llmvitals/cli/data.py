"""Commands for data: publish, replay, query, schema."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import orjson
import typer

from llmvitals import settings as settings_
from llmvitals.cli.rule_files import RulesOption, with_rules
from llmvitals.cli.stored import name_store
from llmvitals.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

Events = Annotated[
    str, typer.Argument(metavar="FILE", help="A file of events, one JSON object on each line; - for stdin.")
]


class Format(StrEnum):
    """The format in which a table is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Schema(StrEnum):
    """The subject of a JSON Schema."""

    CALL = "call"
    RULES = "rules"
    TESTS = "tests"


def publish(
    events: Events,
    topic: Annotated[
        str | None, typer.Option(help="The topic to send to; default: the first input topic.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Send at most this many events a second.")
    ] = None,
) -> None:
    """Send a file of events to Kafka, unchanged, keyed by session or trace."""
    from llmvitals.cli.tables.progress import sent_progress  # noqa: PLC0415
    from llmvitals.publisher.file import publish_lines  # noqa: PLC0415

    settings = settings_.load()
    name = topic or settings.sources[0]
    with sent_progress(name) as progress:
        sent = asyncio.run(publish_lines(_lines(events), settings, name, rate=rate, progress=progress))
    typer.echo(f"{sent:,} events are on {name}", err=True)


def replay(
    events: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files of events: a JSON object on each line, one JSON document, or OTLP in protobuf (.pb); "
            "- for stdin.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(help="Let time pass after the last call: for 20m, or until 2026-11-24T00:00:00Z."),
    ] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="Print the messages that people would get, and nothing else.")
    ] = False,
    rules: RulesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole outcome as one JSON object.")] = False,
) -> None:
    """Run files of events through the worker's stages, without Kafka: print sums, series and alerts.

    Time ends with the last call, or with --until. Nothing is stored and nobody is notified.
    Events that can't be read are counted as dead letters by reason; the exit code is still 0.
    """
    from llmvitals.backtest.replay import replay_lines  # noqa: PLC0415
    from llmvitals.cli.tables.data import print_messages, print_outcome  # noqa: PLC0415
    from llmvitals.cli.tables.progress import replay_progress  # noqa: PLC0415
    from llmvitals.console import console as terminal  # noqa: PLC0415

    gc.freeze()  # what is loaded stays: looking for cycles in it finds none
    lines = chain.from_iterable(map(_records, events))
    settings = with_rules(settings_.load(), rules)
    with replay_progress() as told:
        outcome = replay_lines(lines, settings, until=until, progress=told)
    if messages and not as_json:
        print_messages(outcome, terminal())
    elif as_json:
        typer.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        print_outcome(outcome, terminal())


def query(
    metric: Annotated[
        str,
        typer.Option(help="The metric: cost, error_share, latency_p95, score.NAME_mean, drift_statistic, …"),
    ] = "cost",
    by: Annotated[str, typer.Option(help="Dimensions of a view, comma-separated: team; app,model")] = "",
    view: Annotated[str | None, typer.Option(help="The name of a view, instead of --by.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="DIMENSION=VALUE", help="Only these series; may be repeated.")
    ] = None,
    window: Annotated[str, typer.Option(help="The length of the windows: 10s, 1m, 5m, 1h or 1d.")] = "1h",
    since: Annotated[str, typer.Option(help="How far back (24h), or a time (2026-11-24T00:00:00Z).")] = "24h",
    until: Annotated[str | None, typer.Option(help="The end, written as --since; default: now.")] = None,
    form: Annotated[Format, typer.Option("--format", help="The format of the output.")] = Format.TABLE,
) -> None:
    """Print a metric over time, from the store. docs/metrics.md lists the metrics.

    `llmvitals query --metric cost --by team --window 1h --since 24h`
    """
    from llmvitals.cli.tables.data import grid  # noqa: PLC0415
    from llmvitals.store import query as ask  # noqa: PLC0415
    from llmvitals.store.question import Question  # noqa: PLC0415

    settings = settings_.load()
    pairs = [pair.partition("=") for pair in where or ()]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise typer.BadParameter(f"{wrong[0]!r}: write DIMENSION=VALUE", param_hint="--where")
    question = Question(
        metric=metric,
        by=tuple(filter(None, by.split(","))),
        window=window,
        since=since,
        until=until,
        where={name: value for name, _, value in pairs},
        view=view,
    )
    name_store(settings)
    table = asyncio.run(ask.query(settings, question))
    typer.echo(
        grid(table) if form is Format.TABLE else ask.render(table, "csv" if form is Format.CSV else "json")
    )


def schema(of: Annotated[Schema, typer.Argument(help="What the schema describes.")] = Schema.CALL) -> None:
    """Print the JSON Schema of a call event, for producers, or of rules or their tests, for editors."""
    from llmvitals.record.call import call_schema  # noqa: PLC0415
    from llmvitals.rules.schema import rule_schema  # noqa: PLC0415
    from llmvitals.ruletest.schema import rule_test_schema  # noqa: PLC0415

    made = {Schema.CALL: call_schema, Schema.RULES: rule_schema, Schema.TESTS: rule_test_schema}[of]
    typer.echo(json.dumps(made(), indent=2, ensure_ascii=False))


def _records(name: str) -> Iterator[bytes]:
    """The records of a file: its lines, unless it is one JSON document or protobuf."""
    path = Path(name)
    if path.suffix == ".pb" and path.is_file():
        yield path.read_bytes()
        return
    lines = _lines(name)
    first = next(lines, None)
    if first is None:
        return
    if first[:1] in b"{[" and not _is_document(first):
        rest = [first, *lines]
        whole = b"".join(rest)
        yield from [whole] if _is_document(whole) else rest
        return
    yield first
    yield from lines


def _is_document(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _lines(name: str) -> Iterator[bytes]:
    path = Path(name)
    if name != "-" and not path.is_file():
        raise ConfigError(f"{name} is no file; write - to read standard input")
    return _filled(sys.stdin.buffer) if name == "-" else _read(path)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _filled(file)


def _filled(file: BinaryIO) -> Iterator[bytes]:
    return (line for line in file if line.strip())


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    for command in (publish, replay, query, schema):
        app.command()(command)
