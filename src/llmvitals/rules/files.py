"""Finds the rule files of a folder, and joins their mistakes in one error."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from llmvitals.errors import ConfigError, RuleError

if TYPE_CHECKING:
    from collections.abc import Sequence


def shipped() -> pathlib.Path:
    """The folder of the starter rules: inside the wheel, or `alerts/` of a checkout."""
    inside = pathlib.Path(__file__).parent / "starter"
    return inside if inside.is_dir() else pathlib.Path(__file__).parents[3] / "alerts"


def rule_files(folder: pathlib.Path, *, tests: bool = False) -> list[pathlib.Path]:
    """The rule files of a folder, or the files of their tests; or of one file of rules or of tests.

    Raises ConfigError if it can't be read.
    """
    if folder.is_file():
        return _beside(folder, tests=tests)
    try:
        paths = list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise ConfigError(f"the folder {folder} can't be read: {error.strerror}") from error
    return sorted(
        path
        for path in paths
        # Editors write temporary files whose names begin with a dot.
        if path.suffix in (".yaml", ".yml")
        and path.stem.endswith("_test") == tests
        and not path.name.startswith(".")
    )


def _beside(file: pathlib.Path, *, tests: bool) -> list[pathlib.Path]:
    """The file and what belongs to it: rules have the tests beside them, tests the rules of their folder."""
    if file.stem.endswith("_test") == tests:
        return [file]
    if not tests:
        return rule_files(file.parent)
    names = (file.with_name(f"{file.stem}_test{suffix}") for suffix in (".yaml", ".yml"))
    return [path for path in names if path.is_file()]


def place_of(error: RuleError) -> tuple[str, int, int]:
    """Where it is: the order in which mistakes are told."""
    return error.file, error.line, error.column


def raise_all(errors: Sequence[RuleError]) -> None:
    """Raise one error that lists all errors, if there are any; its place is that of the first."""
    if errors:
        first, *others = sorted(errors, key=place_of)
        message = "\n".join([first.message, *map(str, others)])
        error = RuleError(message, file=first.file, line=first.line, column=first.column)
        error.all = (first, *others)
        raise error
