"""Exceptions and values as they may be logged: where and of what type, never what a record held."""

from __future__ import annotations

import linecache
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from numbers import Number
from pathlib import PurePath
from typing import Any, Final

import msgspec

from llmvitals.errors import LlmvitalsError

WITHHELD: Final = "(its text is not shown: it may quote a record)"
_NO_VALUE: Final = re.compile(
    "Expected `|Object missing required field `|Input data was truncated|(MessagePack data|JSON) is malformed"
)
"""How those texts of msgspec begin that hold no value."""
_FRAMES: Final = 40
"""Of each exception the newest frames; a recursion has a thousand."""
_CHAIN: Final = 10
"""Exceptions of a chain, or of a group, that are shown."""
_DEEP: Final = 8
"""Levels of lists and tables in a logged value."""


def summary(error: BaseException) -> str:
    """An exception in one line.

    Only texts that were written for the reader are shown: those of our own errors, of aiokafka, the operating
    system's, and msgspec's where they name types and places. Every other text may quote what was being read:
    `int("…")`, `KeyError`, pydantic.

    >>> summary(ValueError("invalid literal for int(): 'sk-planted'"))
    'ValueError (its text is not shown: it may quote a record)'
    """
    kind = type(error).__name__
    if isinstance(error, LlmvitalsError):
        return str(error)
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{kind}: {os.strerror(error.errno)}"
    if type(error).__module__.startswith("aiokafka."):
        text = str(error)
        return text if text.startswith("[Error") else f"{kind}: {text}".removesuffix(": ")
    if isinstance(error, msgspec.MsgspecError) and _NO_VALUE.match(str(error)):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return f"{kind} of {len(error.exceptions)} exceptions"
    return f"{kind} {WITHHELD}" if error.args or getattr(error, "__notes__", None) else kind


def plain(error: BaseException) -> str:
    """An exception as Python prints it, causes first, without its text, its notes and any variables.

    One of our own errors says it all in its text: that is its only line.
    """
    if isinstance(error, LlmvitalsError):
        return summary(error)
    chain = list(_chain(error))
    return "\n\n".join(f"{_one(each)}{join}" for each, join in reversed(chain))


def shown(value: Any, levels: int = _DEEP) -> Any:
    """A value as it may be logged: numbers, texts, and lists and tables of them; else only its type.

    >>> shown({"offset": 7, "error": KeyError("planted"), "call": object()})
    {'offset': 7, 'error': 'KeyError (its text is not shown: it may quote a record)', 'call': '<object>'}
    """
    if value is None or isinstance(value, bool | str | Number):
        return value
    if isinstance(value, BaseException):
        return summary(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, type):
        return value.__name__
    if levels and isinstance(value, Mapping):
        return {str(shown(key, levels - 1)): shown(each, levels - 1) for key, each in value.items()}
    if levels and isinstance(value, list | tuple | set | frozenset):
        return [shown(each, levels - 1) for each in value]
    return f"<{type(value).__name__}>"


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and what led to it, each with the sentence that leads to the one after it."""
    seen: set[int] = set()
    join, found = "", error
    while id(found) not in seen and len(seen) < _CHAIN:
        yield found, join
        seen.add(id(found))
        if found.__cause__ is not None:
            join = "\n\nThe above exception was the direct cause of the following exception:"
            found = found.__cause__
        elif found.__context__ is not None and not found.__suppress_context__:
            join = "\n\nDuring handling of the above exception, another exception occurred:"
            found = found.__context__


def _one(error: BaseException, levels: int = _DEEP) -> str:
    # linecache gives the source of the frames: what the files hold, never what the variables do.
    linecache.checkcache()
    frames = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), limit=-_FRAMES, capture_locals=False
    )
    lines = ["Traceback (most recent call last):\n", *frames.format()] if frames else []
    text = "".join([*lines, summary(error)])
    if levels and isinstance(error, BaseExceptionGroup):
        for number, each in enumerate(error.exceptions[:_CHAIN], 1):
            inner = "\n".join(f"  | {line}" for line in _one(each, levels - 1).splitlines())
            text += f"\n  +-- {number} --\n{inner}"
    return text
