"""The starter rules that ship: one set for thousands of calls a day, one for hundreds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmvitals.errors import ConfigError
from llmvitals.rules.files import rule_files, shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL: Final = 1_000
"""With fewer calls a day, the small set is the right one."""


@dataclass(frozen=True, slots=True)
class StarterSet:
    """One of the sets. name: large or small. folder: where it ships."""

    name: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """Its rules and their tests."""
        return sorted([*rule_files(self.folder), *rule_files(self.folder, tests=True)])

    def write(self, folder: Path, *, force: bool) -> Sequence[Path]:
        """Copy its files to a folder, which is made if there is none; return what was written.

        Raises ConfigError if the folder has rules already (force: these files are replaced, others stay), or
        if it can't be written.
        """
        there = [*rule_files(folder), *rule_files(folder, tests=True)]
        if there and not force:
            raise ConfigError(
                f"{folder} has rules already ({there[0].name}): nothing was written. Name another folder, or "
                "replace the files of the starter set with --force"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [Path(shutil.copyfile(path, folder / path.name)) for path in self.files]
        except OSError as error:
            raise ConfigError(f"{folder} can't be written: {error.strerror}") from error


def starter_set(calls: float) -> StarterSet:
    """The set for so many calls a day."""
    large = calls >= SMALL
    return StarterSet("large" if large else "small", shipped() if large else shipped() / "small")
