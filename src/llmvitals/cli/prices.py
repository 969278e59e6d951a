"""Commands about the prices of models: show, check, diff, update."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from llmvitals import settings as settings_
from llmvitals.errors import ConfigError, Unavailable

SOURCE: Final = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
_LEAST: Final = 0.5
"""A list with a smaller share of the present models is taken for a broken one."""
_SECONDS: Final = 60

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]

group = typer.Typer(
    no_args_is_help=True,
    help="Show, check, compare and update the prices of models.\n\n"
    "A model's price is that of your own file (`LLMVITALS_PRICES`), else that of genai-prices, else that of "
    "LiteLLM's price file.",
)


@group.command()
def show(
    model: Annotated[str, typer.Argument(help="A model as calls name it: gpt-4o, vertex_ai/gemini-2.5-pro.")],
    provider: Annotated[
        str | None, typer.Option(help="The provider, if the model's name does not contain it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the present price of a model, and the list that it comes from.

    The exit code is 1 if the model is unknown; then the nearest known one is named.
    """
    from llmvitals.cli.tables.prices import print_listing  # noqa: PLC0415 - other commands don't need it
    from llmvitals.price import Prices  # noqa: PLC0415 - nor this
    from llmvitals.price.compare import figures, text  # noqa: PLC0415 - nor this

    settings = settings_.load()
    prices = Prices.of(settings)
    listing = prices.find(provider, model)
    if listing is None:
        nearest = prices.nearest(provider, model)
        if as_json:
            typer.echo(json.dumps({"model": model, "source": None, "nearest": nearest}))
        else:
            guess = f"; the nearest known model is {nearest}" if nearest else ""
            at = f" at {provider}" if provider else ""
            typer.echo(f"{model} has no price{at}{guess}. Its price can be written into LLMVITALS_PRICES.")
        raise typer.Exit(1)
    found = figures(listing.model, datetime.now(UTC), tiers=listing.tiers)
    if as_json:
        about = {"model": listing.model.id, "provider": listing.provider, "source": listing.source}
        typer.echo(json.dumps(about | {"prices": {key: text(price) for key, price in found.items()}}))
    else:
        print_listing(listing, found)


@group.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="A price file; default: that of LLMVITALS_PRICES.")
    ] = None,
) -> None:
    """Check a price file, and warn of prices that are about a hundred times too high or too low.

    The exit code is 2 if the file is wrong. Warnings leave it at 0.
    """
    from llmvitals.price import Prices  # noqa: PLC0415 - other commands don't need it

    path = file or settings_.load().prices
    if path is None:
        raise ConfigError("There is no price file: name one, or set LLMVITALS_PRICES")
    prices = Prices(path)
    for line in prices.warnings():
        typer.secho(f"{path}: {line}", err=True, fg=typer.colors.YELLOW)
    custom = prices.custom
    models = len({id(model) for model in custom.models.values()})
    typer.echo(f"{path}: {models:,} models, {len(custom.discounts):,} discounts, fine")


@group.command()
def diff(
    file: Annotated[Path, typer.Argument(help="A price file.")],
    against: Annotated[
        Path | None, typer.Argument(metavar="OLD", help="An older price file; default: the prices in use.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects.")] = False,
) -> None:
    """Show what a price file changes: against another file, or for its models against the prices in use.

    `llmvitals reprice --prices FILE` shows what it would have changed on past calls.
    """
    from llmvitals.cli.tables.prices import print_differences  # noqa: PLC0415 - other commands don't need it
    from llmvitals.price import Prices, custom  # noqa: PLC0415 - nor this
    from llmvitals.price.compare import differences, figures  # noqa: PLC0415 - nor this

    now, new = datetime.now(UTC), custom.read(file)
    if against is not None:
        models = custom.read(against).models
        old = {_name(key): figures(model, now) for key, model in models.items()}
    else:
        settings = settings_.load()
        prices = Prices.of(settings)
        listings = {key: prices.find(key[0] or None, key[1]) for key in new.models}
        old = {
            _name(key): figures(listing.model, now, tiers=listing.tiers)
            for key, listing in listings.items()
            if listing
        }
    found = differences(old, {_name(key): figures(model, now) for key, model in new.models.items()})
    print_differences(found, as_json=as_json)


@group.command()
def update(
    source: Annotated[
        str, typer.Argument(help="LiteLLM's price file: an address (https) or a file.")
    ] = SOURCE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what changes, and write nothing.")] = False,
) -> None:
    """Download LiteLLM's newest price file for the models that genai-prices does not know.

    It is written to the file of LLMVITALS_LISTED_PRICES, or else over the shipped list. Workers read it when
    they start.
    """
    from llmvitals.price import litellm  # noqa: PLC0415 - other commands don't need it

    target = settings_.load().listed_prices or litellm.SHIPPED
    data = litellm.extract(litellm.tables(_fetched(source), source))
    old = litellm.read(target).models if target.is_file() else litellm.shipped().models
    new = litellm.tables(data, source)
    if len(new) < len(old) * _LEAST:
        raise ConfigError(
            f"{source} has {len(new):,} models with prices, instead of {len(old):,}: is it whole?"
        )
    changed = sum(_fields(old[name]) != _fields(new[name]) for name in new.keys() & old.keys())
    typer.echo(
        f"{len(new):,} models: {len(new.keys() - old.keys()):,} new, {changed:,} changed, "
        f"{len(old.keys() - new.keys()):,} gone"
    )
    if dry_run:
        return
    draft = target.with_name(f"{target.name}.new")
    try:
        draft.write_bytes(data)
        draft.replace(target)
    except OSError as error:
        cure = "set LLMVITALS_LISTED_PRICES to a file that may be written"
        raise ConfigError(f"The prices can't be written to {target}: {error.strerror}; {cure}") from error
    typer.echo(f"written to {target}")


def _fetched(source: str) -> bytes:
    if not source.startswith("https://"):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{source} can't be read: {error.strerror}; name a file or an https address"
            ) from error
    try:
        with urllib.request.urlopen(source, timeout=_SECONDS) as answer:  # noqa: S310 - https only
            return bytes(answer.read())
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        cure = "try again, or name a file: llmvitals prices update FILE"
        raise Unavailable(f"{source} can't be fetched: {error}; {cure}") from error


def _fields(entry: Any) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name.startswith(("input", "output", "cache"))}


def _name(key: tuple[str, str]) -> str:
    provider, model = key
    return f"{provider}/{model}" if provider and not model.startswith(f"{provider}/") else model


def add(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.add_typer(group, name="prices")
