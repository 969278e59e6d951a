"""NAME=VALUE arguments of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

Where = Annotated[
    list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="The series, such as app=chat")
]


def pairs(texts: Iterable[str] | None) -> dict[str, str]:
    """Return name → value. Raises typer.BadParameter."""
    found = [text.partition("=") for text in texts or ()]
    if wrong := ["".join(parts) for parts in found if not parts[0] or not parts[1]]:
        raise typer.BadParameter(f"{wrong[0]!r}: write NAME=VALUE, such as app=chat", param_hint="NAME=VALUE")
    return {name: value for name, _, value in found}
