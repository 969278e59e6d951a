"""Commands that read past calls again: reprice, audit."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmvitals import settings as settings_
from llmvitals.errors import ConfigError
from llmvitals.window import SECOND, duration

if TYPE_CHECKING:
    from llmvitals.audit.past import PastCalls
    from llmvitals.settings import Settings

Since = Annotated[str, typer.Option(help="Read calls from Kafka that are at most this old.")]
File = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Read calls from a file instead; .gz works, - is stdin."),
]


def reprice(
    prices: Annotated[Path, typer.Option(help="A price file: TOML, YAML or LiteLLM's JSON.")],
    since: Since = "7d",
    file: File = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Also price the calls that came with a cost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Show what past calls would cost under other prices, by team, model and day. Nothing is stored.

    `llmvitals reprice --since 30d --prices new.toml`

    Costs that came with a call stay, unless --recompute is given. Stored points never change.
    """
    from llmvitals.audit.past import PastCalls  # noqa: PLC0415 - other commands don't need it
    from llmvitals.audit.reprice import Repricing  # noqa: PLC0415 - nor this
    from llmvitals.cli.tables.reprice import plain, print_repriced  # noqa: PLC0415 - nor this
    from llmvitals.price import Prices  # noqa: PLC0415 - nor this

    settings = settings_.load()
    repricing = Repricing(Prices.of(settings), Prices(prices, settings.listed_prices), recompute=recompute)
    past = PastCalls(settings, repricing)
    read_past(settings, past, since, file)
    if as_json:
        rows = [plain(row) for row in repricing.changed()]
        total = plain(repricing.total())
        typer.echo(json.dumps({"rows": rows, "total": total, "refused": past.refused}, ensure_ascii=False))
    else:
        print_repriced(repricing, past.refused)


def audit(
    since: Since = "7d",
    file: File = None,
    bills: Annotated[
        list[Path] | None,
        typer.Option(
            "--bill",
            metavar="FILE",
            help="An answer of OpenAI's or Anthropic's usage or cost API, by day and model; may be repeated.",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="The allowed difference between calls and bill, in percent.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Check past calls: missing and duplicate ids, calls without usage, given costs against list prices.

    `llmvitals audit --since 30d --bill openai_usage.json --bill openai_costs.json`

    Bills are compared for the whole days (UTC) from --since to yesterday; with --file, for all days of the
    file. With the setting `plans`, the list price of calls under flat-rate plans is compared with that of the
    plans.

    The exit code is 1 if numbered ids are missing, or if a bill and the calls differ by more than the
    tolerance.
    """
    from llmvitals.audit import exports  # noqa: PLC0415 - other commands don't need it
    from llmvitals.audit.audit import Audit  # noqa: PLC0415 - nor this
    from llmvitals.audit.past import PastCalls  # noqa: PLC0415 - nor this
    from llmvitals.cli.tables.audit import audit_plain, print_audit  # noqa: PLC0415 - nor this
    from llmvitals.price import Prices  # noqa: PLC0415 - nor this

    settings = settings_.load()
    billed = [row for path in bills or () for row in exports.read(path)]
    found = Audit(Prices.of(settings), settings.plans)
    past = PastCalls(settings, found)
    start = read_past(settings, past, since, file)
    compared = found.compared(billed, _whole_days(start) if start else None)
    if as_json:
        typer.echo(json.dumps(audit_plain(found, compared, past.refused), ensure_ascii=False))
    else:
        print_audit(found, compared, past.refused, share=tolerance / 100)
    missing = any(one.missing for one in found.sequences.found())
    apart = any(abs(row.deviation) > tolerance / 100 for row in compared if not row.day)
    raise typer.Exit(1 if missing or apart else 0)


def _whole_days(start: int) -> tuple[str, str]:
    """The first and the last whole day (UTC) from a time (µs) to now."""
    first = datetime.fromtimestamp(start / SECOND, UTC) + timedelta(days=1)
    last = datetime.now(UTC) - timedelta(days=1)
    return first.date().isoformat(), last.date().isoformat()


def read_past(settings: Settings, past: PastCalls, since: str, file: str | None) -> int:
    """Read the calls of the input topics since a time ago, or of a file; return the time (µs) they begin at.

    Raises ConfigError, MissingTopic and BrokerDown.
    """
    from llmvitals.backtest.run import FILE, batches, opened  # noqa: PLC0415
    from llmvitals.cli.tables.progress import text_progress  # noqa: PLC0415
    from llmvitals.runtime.kafka.connect import find_topics  # noqa: PLC0415
    from llmvitals.runtime.kafka.past_calls import replay  # noqa: PLC0415

    with text_progress("reading calls") as show_text:

        def told() -> None:
            show_text(f"reading calls: {past.calls:,}")

        if file is not None:
            with opened(file) as (lines, _):
                for batch in batches(lines):
                    past.feed(FILE, 0, batch)
                    told()
            return 0
        try:
            start = time.time_ns() // 1_000 - duration(since)
        except ValueError as error:
            raise ConfigError(f"--since: {error}") from None

        async def read() -> None:
            partitions = await find_topics(settings, settings.sources)
            await replay(settings, past, partitions, since=start, told=told)

        asyncio.run(read())
        return start


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    for command in (reprice, audit):
        app.command()(command)
