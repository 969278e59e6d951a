"""The command about verdicts: which calls gateways block or warn about."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from llmvitals import settings as settings_
from llmvitals.console import console as terminal
from llmvitals.console import plain_table, stacked
from llmvitals.metrics.quantity import amount
from llmvitals.record.log import Topic
from llmvitals.record.verdict import Verdict
from llmvitals.wording import clean, moment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from llmvitals.record.alert import Unit
    from llmvitals.settings import Settings

_PAUSE: Final = 0.5
_UNITS: Final[dict[str, Unit]] = {"cost": "usd", "tokens": "tokens"}
_COLOURS: Final = {"block": "red", "warn": "yellow", "allow": "green"}

News = tuple[bytes, Verdict | None]
"""A record's key, and its verdict; None: whoever it is about may call again."""


def verdicts(
    rule: Annotated[str, typer.Option(help="Only this rule.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    follow: Annotated[bool, typer.Option(help="Keep running, and print each change.")] = False,
) -> None:
    """Show the verdicts of budgets: who is blocked or warned, and until when.

    Series that are not listed may call.
    """
    asyncio.run(_show(settings_.load(), rule, as_json=as_json, follow=follow))


async def _show(settings: Settings, rule: str, *, as_json: bool, follow: bool) -> None:
    news = _news(settings)
    first = [(key, verdict) for key, verdict in await anext(news) if _wanted(key, rule)]
    now = time.time_ns() // 1_000
    holding = [verdict for _, verdict in first if verdict and (verdict.until is None or verdict.until > now)]
    if as_json:
        for verdict in holding:
            typer.echo(verdict.encode())
    else:
        terminal().print(_table(holding) if holding else "Nobody is blocked or warned.")
    if not follow:
        await news.aclose()
        return
    async for changes in news:
        for key, change in changes:
            if _wanted(key, rule):
                typer.echo(_line(key, change, as_json=as_json))


async def _news(settings: Settings) -> AsyncGenerator[list[News], None]:
    """Yield the present records of the topic, then new ones as they come."""
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415 - other commands don't need it
    from llmvitals.runtime.kafka.tail import Tail  # noqa: PLC0415 - nor this

    topic = settings.topic(Topic.VERDICTS)
    await find_topics(settings, [topic])
    tail = Tail(settings, "verdicts")
    try:
        async with asking(settings):
            await tail.start()
            found = await tail.whole(topic)
        yield _read(found)
        while True:
            await asyncio.sleep(_PAUSE)
            async with asking(settings):
                found = await tail.news(topic)
            yield _read(found)
    finally:
        await tail.stop()


def _read(records: Iterable[Any]) -> list[News]:
    found: list[News] = []
    for record in records:
        try:
            found.append((record.key, Verdict.decode(record.value) if record.value is not None else None))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            typer.echo(f"offset {record.offset} is no verdict", err=True)
    return found


def _wanted(key: bytes, rule: str) -> bool:
    return not rule or _named(key)[0] == rule


def _named(key: bytes) -> tuple[str, dict[str, str]]:
    """Return the rule and the series of a record's key."""
    try:
        rule, series = json.loads(key)
        return str(rule), dict(series)
    except (ValueError, TypeError):
        return key.decode(errors="replace"), {}


def _table(rows: Iterable[Verdict]) -> Table:
    table = plain_table("verdict", "rule, series", "since, until", figures=("spent",), last=("lifted by",))
    for verdict in rows:
        unit = _UNITS.get(verdict.metric, "count")
        table.add_row(
            Text(verdict.verdict, _COLOURS[verdict.verdict]),
            stacked(clean(verdict.rule), _series(verdict.series)),
            stacked(
                moment(verdict.since),
                moment(verdict.until) if verdict.until is not None else "it has room again",
            ),
            stacked(
                amount(verdict.spent, unit),
                f"of {amount(verdict.limit, unit)}",
                f"{amount(verdict.overshoot, unit)} over" if verdict.overshoot else "",
            ),
            clean(verdict.override),
        )
    return table


def _series(series: dict[str, str]) -> str:
    return ", ".join(f"{name}={clean(value)}" for name, value in series.items()) or "all calls"


def _line(key: bytes, verdict: Verdict | None, *, as_json: bool) -> str:
    rule, series = _named(key)
    if as_json:
        freed = {"verdict": "allow", "rule": rule, "series": series}
        return json.dumps(msgspec.to_builtins(verdict) if verdict else freed)
    what, reason = (verdict.verdict, verdict.reason) if verdict else ("allow", "it has room again")
    return f"{what:<5}  {clean(rule)}  {_series(series)}: {clean(reason, 1_000)}"


def add(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command()(verdicts)
