"""What several commands share: the NAME=VALUE arguments that choose series, and reading from the store."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from llmvitals import settings as settings_

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.report.drift import Found
    from llmvitals.settings import Settings

Where = Annotated[
    list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="The series, such as app=chat")
]


def pairs(texts: Iterable[str] | None) -> dict[str, str]:
    """Return name → value. Raises typer.BadParameter."""
    found = [text.partition("=") for text in texts or ()]
    if wrong := ["".join(parts) for parts in found if not parts[0] or not parts[1]]:
        raise typer.BadParameter(f"{wrong[0]!r}: write NAME=VALUE, such as app=chat", param_hint="NAME=VALUE")
    return {name: value for name, _, value in found}


def name_store(settings: Settings) -> None:
    """Print on stderr which store is read, if there are several."""
    from llmvitals.store.registry import configured  # noqa: PLC0415 - other commands don't need it

    stores = configured(settings)
    if len(stores) > 1:
        typer.echo(f"llmvitals: read from {stores[0].place}", err=True)


def read_drift(since: str, rule: str | None, where: list[str] | None, *, as_json: bool) -> Found | None:
    """Read drift from the store; None if it was printed as JSON."""
    from llmvitals.report import drift as report  # noqa: PLC0415 - other commands don't need it

    settings = settings_.load()
    name_store(settings)
    found = asyncio.run(report.found(settings, since, rule, pairs(where)))
    if as_json:
        typer.echo(json.dumps(report.plain(found), ensure_ascii=False))
        return None
    return found
