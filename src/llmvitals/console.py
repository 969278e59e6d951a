"""The terminal. Texts are printed as they are; colours are given as styles, never inside the text."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def console(**options: Any) -> Console:
    """A rich console that reads neither markup nor emoji codes, which names, paths and errors may hold.

    options: as for rich's Console.
    """
    return Console(markup=False, emoji=False, **options)
