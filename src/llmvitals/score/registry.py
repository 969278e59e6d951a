"""Finds the class of a scorer by its name, and checks that its packages are installed."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from llmvitals.errors import ConfigError, suggestion

GROUP: Final = "llmvitals.scorers"
NEEDS: Final = {"profanity": ("profanity_check", "profanity"), "wordllama": ("wordllama", "embeddings")}
"""Scorer of llmvitals → the package that it needs, and the extra that installs it."""


def find(name: str) -> str:
    """Return `package.module:attribute` of a scorer; nothing of it is imported.

    name: an entry point's, or that already. Raises ConfigError that says what to install or to write.
    """
    known = {point.name: point.value for point in entry_points(group=GROUP)}
    target = name if ":" in name else known.get(name)
    if target is None:
        raise ConfigError(
            f"scorers: there is no scorer {name!r}{suggestion(name, sorted(known))} "
            "(a class of your own is named package.module:Class)"
        )
    package, extra = NEEDS.get(name, ("", ""))
    if package and not _there(package):
        raise ConfigError(f"scorers: {name} needs the package {package}: pip install 'llmvitals[{extra}]'")
    module, _, attribute = target.partition(":")
    if not attribute or not _there(module):
        raise ConfigError(
            f"scorers: {name}: there is no module {module!r}, or no class after the colon: install the "
            "package that has it, or correct it; it is written package.module:Class"
        )
    return target


def _there(module: str) -> bool:
    """Whether a module can be imported in the scorer's process, which also looks in the folder it is in."""
    here = str(Path.cwd())
    if here not in sys.path and PathFinder.find_spec(module.partition(".")[0], [here]) is not None:
        return True
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
