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
    """The rule files of a folder, or the files of their tests. A single file is taken for a folder of it.

    Raises ConfigError if it can't be read.
    """
    if folder.is_file():
        return [folder] if folder.stem.endswith("_test") == tests else []
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
