"""The commands about silences: add, list and expire."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from llmvitals import settings as settings_
from llmvitals.console import console as terminal
from llmvitals.console import plain_table
from llmvitals.errors import LlmvitalsError
from llmvitals.record.incident import Case, Entry
from llmvitals.record.incident import decode as entry
from llmvitals.record.log import Message, Topic
from llmvitals.record.matcher import Matcher, all_match, parsed
from llmvitals.record.user_action import Silence, UserAction, decode, encode
from llmvitals.window import DAY, duration, duration_text
from llmvitals.wording import clean, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.settings import Settings

LONGEST: Final = 90 * DAY

silence = typer.Typer(no_args_is_help=True, help="Mute alerts for a while: add, list, expire.")


async def write_action(settings: Settings, act: UserAction) -> None:
    """Write records for the worker that owns the alerts. Raises BrokerDown or MissingTopic."""
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415 - other commands don't need it
    from llmvitals.runtime.kafka.producer import Producer  # noqa: PLC0415 - nor this

    await find_topics(settings, [settings.topic(Topic.SILENCES)])
    outbox = Producer(settings, "silence")
    try:
        async with asking(settings, 20):
            await outbox.start()
            await outbox.deliver([Message(Topic.SILENCES, act.key, encode(act))])
    finally:
        await outbox.stop()


async def read_topic(settings: Settings, topic: Topic, reader: Any) -> list[Any]:
    """Return the values of a compacted topic, read by `reader`; report those that it can't read.

    Raises BrokerDown or MissingTopic.
    """
    from llmvitals.runtime.kafka.connect import asking, find_topics  # noqa: PLC0415 - other commands don't need it
    from llmvitals.runtime.kafka.tail import Tail  # noqa: PLC0415 - nor this

    name = settings.topic(topic)
    await find_topics(settings, [name])
    tail, found = Tail(settings, "look"), []
    try:
        async with asking(settings, 60):
            await tail.start()
            records = await tail.whole(name)
    finally:
        await tail.stop()
    for record in records:
        try:
            found.append(reader(record.value))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            typer.echo(f"{name}: offset {record.offset} can't be read", err=True)
    return found


def drawn(rows: Sequence[Any], nothing: str, *, as_json: bool) -> bool:
    """Print the rows as JSON, or that there are none; return whether a table is still to be drawn."""
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row))
    elif not rows:
        typer.echo(nothing)
    return bool(rows) and not as_json


@silence.command("add")
def add_silence(
    matchers: Annotated[
        list[str] | None, typer.Argument(metavar="MATCHER…", help="team=search, rule=~Slow.*, app!=chat")
    ] = None,
    last: Annotated[str, typer.Option("--for", help="How long, such as 2h; 90d at most.")] = "1h",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    by: Annotated[str, typer.Option(help="Who; default: your login name.")] = "",
    override: Annotated[
        bool, typer.Option(help="Also let calls through that a budget's verdict blocks.")
    ] = False,
) -> None:
    """Mute the alerts that match all matchers. Alerts that still fire afterwards are sent.

    Matchers compare the labels of the alert, and `rule`, `kind` and `severity`.
    """
    wanted, length = _matchers(matchers or []), _length(last)
    now = _now()
    made = Silence(
        id=secrets.token_hex(4),
        matchers=wanted,
        starts=now,
        ends=now + length,
        by=clean(by or login(), 80),
        comment=clean(comment, 500),
        kind="override" if override else "silence",
    )
    firing = asyncio.run(_add(settings_.load(), made))
    typer.echo(f"{made.id}  until {moment(made.ends)}: {_matching(firing)}")


@silence.command("list")
def list_silences(
    ended: Annotated[bool, typer.Option(help="Also show those that ended in the last days.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the silences; those that end first come first."""
    now = _now()
    found = asyncio.run(_silences(settings_.load()))
    rows = sorted((s for s in found if ended or s.ends > now), key=lambda s: (s.ends, s.id))
    if not drawn(rows, "Nothing is silenced.", as_json=as_json):
        return
    table = plain_table("id", "matchers", "until", "by", "comment")
    for row in rows:
        state = "ended " if row.ends <= now else "its incident is over, at most " if row.incident else ""
        lifts = " (lifts verdicts)" if row.kind == "override" else ""
        matchers = clean(" ".join(map(str, row.matchers)), 300) + lifts
        table.add_row(row.id, matchers, state + moment(row.ends), row.by, row.comment)
    terminal().print(table)


@silence.command("expire")
def expire_silence(name: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a silence now; alerts that it muted and that still fire are sent."""
    asyncio.run(_expire(settings_.load(), name))
    typer.echo(f"{name} is over")


def _matchers(texts: Iterable[str]) -> tuple[Matcher, ...]:
    try:
        found = tuple(map(parsed, texts))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="MATCHER") from error
    if all_match(found, {}):
        raise typer.BadParameter(
            "this would silence everything: name at least one label with a value, such as team=search",
            param_hint="MATCHER",
        )
    return found


def _length(text: str) -> int:
    try:
        length = duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    if not 0 < length <= LONGEST:
        raise typer.BadParameter(
            f"{text}: write more than 0s and at most {duration_text(LONGEST)}; "
            "to mute alerts for ever, delete their rule",
            param_hint="--for",
        )
    return length


def login() -> str:
    """Return the name of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _matching(firing: int) -> str:
    return "1 alert that fires now matches" if firing == 1 else f"{firing:,} alerts that fire now match"


async def _add(settings: Settings, made: Silence) -> int:
    """Write a silence; return the number of firing alerts that it covers."""
    entries = await read_topic(settings, Topic.INCIDENTS, entry)
    await write_action(settings, made)
    return sum(case.firing and all_match(made.matchers, case.alert.marks) for case in cases(entries))


async def _silences(settings: Settings) -> list[Silence]:
    return [act for act in await read_topic(settings, Topic.SILENCES, decode) if isinstance(act, Silence)]


async def _expire(settings: Settings, name: str) -> None:
    found = next((s for s in await _silences(settings) if s.id == name), None)
    if found is None:
        raise LlmvitalsError(f"there is no silence {name}: `llmvitals silence list` shows them")
    if found.ends <= (now := _now()):
        raise LlmvitalsError(f"silence {name} has ended already, at {moment(found.ends)}")
    await write_action(settings, msgspec.structs.replace(found, ends=max(now, found.starts)))


def cases(entries: Iterable[Entry]) -> list[Case]:
    """Return the alerts among the remembered records."""
    return [one for one in entries if isinstance(one, Case)]


def _now() -> int:
    return time.time_ns() // 1_000


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.add_typer(silence, name="silence")
