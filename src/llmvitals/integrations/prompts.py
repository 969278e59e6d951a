"""Counts the characters of prompts, in the forms of all providers."""

from __future__ import annotations

from typing import Any, Final

_TEXTS: Final = ("content", "text", "parts", "input", "output", "arguments", "prompt")
"""Names of what holds texts in a message. Images and files are under other names."""


def characters(value: Any) -> int:
    """The characters of a text, or of the texts in a message or a list of them."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(characters, value))
    if isinstance(value, dict):
        return sum(characters(value.get(name)) for name in _TEXTS)
    return 0
