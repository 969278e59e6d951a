"""Price lists and what differs between them, as tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import typer

from llmvitals.console import console as terminal
from llmvitals.console import plain_table
from llmvitals.price.compare import base, text
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.price import Listing
    from llmvitals.price.compare import Difference, Figures

_UNITS: Final = {"mtok": "million tokens", "kcount": "thousand"}


def words(key: str) -> tuple[str, str, str]:
    """The service tier, the kind of tokens and the unit of a price.

    >>> words("batch.cache_read_mtok")
    ('batch', 'cache read', 'million tokens')
    """
    tier, _, name = key.rpartition(".")
    kind, _, unit = name.rpartition("_")
    return tier, kind.replace("_", " "), _UNITS[unit]


def print_listing(listing: Listing, found: Figures) -> None:
    """Print a price list: a row for each price."""
    at = f" at {listing.provider}" if listing.provider else ""
    typer.echo(f"{clean(listing.model.id, 200)}{at}, from {listing.source}")
    if not found:
        typer.echo("It has no price for a token: calls are unpriced.")
        return
    table = plain_table("tier", "price of", figures=("dollars",), last=("for a",))
    for key, price in found.items():
        tier, kind, unit = words(key)
        table.add_row(tier, kind, text(price), unit)
    terminal().print(table)


def print_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    """Print the prices that differ, a row for each."""
    if as_json:
        rows = [
            {
                "model": one.model,
                "price": one.key,
                "old": _plain(one, old=True),
                "new": _plain(one, old=False),
            }
            for one in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not found:
        typer.echo("No price differs.")
        return
    table = plain_table("model", "tier", "price of", figures=("old", "new", "change"))
    for one in found:
        tier, kind, _ = words(one.key)
        change = "" if one.change is None else f"{one.change:+.1%}"
        table.add_row(clean(one.model, 80), tier, kind, text(one.old), text(one.new), change)
    terminal().print(table)


def _plain(one: Difference, *, old: bool) -> float | None:
    price = base(one.old if old else one.new)
    return None if price is None else float(price)
