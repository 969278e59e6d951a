"""Which rules a command reads: a folder, a single file, or what the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llmvitals.errors import ConfigError, RuleError
from llmvitals.rules.files import raise_all, rule_files, shipped

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from llmvitals.rules.rule import Rules
    from llmvitals.settings import Settings

RulesOption = Annotated[
    Path | None,
    typer.Option(
        "--rules", metavar="DIR", help="The folder of rules, or one file; default: that of the settings."
    ),
]
SUFFIXES: Final = (".yaml", ".yml")


def with_rules(settings: Settings, rules: Path | None) -> Settings:
    """The settings with other rules, if some are named. Raises ConfigError if they are not there."""
    return settings if rules is None else settings.model_copy(update={"alerts": _there(rules)})


def chosen(paths: Sequence[Path], rules: Path | None, settings: Settings) -> list[Path]:
    """The folders and files that are named, either as arguments or by --rules.

    If none is named and there is no alerts/: the starter rules, with a note. Raises ConfigError if something
    that is named is not there, so that a typo does not pass.
    """
    if paths and rules is not None:
        raise typer.BadParameter("name the rules once: as arguments, or with --rules", param_hint="--rules")
    named = [*paths, *([rules] if rules is not None else [])]
    if not named and not settings.alerts.exists() and "alerts" not in settings.model_fields_set:
        starter = shipped()
        typer.echo(
            f"There is no folder {settings.alerts} here: these are the starter rules, which come with "
            f"llmvitals, in {starter}. A worker here would have no rules: write them to {settings.alerts} "
            "with `llmvitals init` first.",
            err=True,
        )
        return [starter]
    return [_there(path) for path in named or [settings.alerts]]


def _there(path: Path) -> Path:
    if path.is_dir() or (path.is_file() and path.suffix in SUFFIXES):
        return path
    if path.is_file():
        raise ConfigError(f"{path} is no file of rules: name *.yaml, or a folder of them")
    raise ConfigError(f"{path} is no folder: name one with rules in it (*.yaml), or a file")


def folder_of(path: Path) -> Path:
    """The folder of rules: the path itself, or where the file lies."""
    return path.parent if path.is_file() else path


def is_test(path: Path) -> bool:
    """Whether a file holds tests of rules."""
    return path.stem.endswith("_test")


def read_rules(folder: Path, pane: int, files: Collection[Path]) -> Rules:
    """The rules of a folder, of which some files are looked at; none: all.

    They are read beside the others of the folder, whose names and labels they may use; mistakes in those are
    not told. pane: µs. Raises RuleError with the mistakes in the files.
    """
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415 - other commands don't need it

    try:
        return load_engine(folder, pane).rules
    except RuleError as error:
        if not files or any(map(is_test, files)):
            raise
        raise_all([one for one in error.all if Path(one.file) in files])
        wrong = {Path(one.file).name for one in error.all}
        right = [path.name for path in rule_files(folder) if path.name not in wrong]
        return load_engine(folder, pane, only=right).rules
