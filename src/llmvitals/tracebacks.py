"""Formats exceptions and values for logs: their place and type, but nothing of a record's content."""

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
"""The begin of messages of msgspec that contain no value."""
_FRAMES: Final = 40
"""Frames that are shown of an exception, the newest ones; a recursion has a thousand."""
_CHAIN: Final = 10
"""Exceptions that are shown of a chain or a group."""
_DEEP: Final = 8
"""Levels of lists and tables in a logged value."""


def summary(error: BaseException) -> str:
    """Describe an exception in one line.

    Only texts without values are shown: those of LlmvitalsError, aiokafka and the operating system, and those
    of msgspec that name types and places. Every other text may quote a record: `int("…")`, `KeyError`,
    pydantic.

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
    """Format an exception as Python does, causes first, but without texts that may quote a record.

    A LlmvitalsError is only its text.
    """
    if isinstance(error, LlmvitalsError):
        return summary(error)
    chain = list(_chain(error))
    return "\n\n".join(f"{_formatted(link)}{join}" for link, join in reversed(chain))


def shown(value: Any, levels: int = _DEEP) -> Any:
    """Convert a value for logs: numbers, texts, and lists and tables of them. Other values become their type.

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
        return {str(shown(key, levels - 1)): shown(item, levels - 1) for key, item in value.items()}
    if levels and isinstance(value, list | tuple | set | frozenset):
        return [shown(item, levels - 1) for item in value]
    return f"<{type(value).__name__}>"


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and its causes, each with the sentence that connects it to the exception after it."""
    seen: set[int] = set()
    join, current = "", error
    while id(current) not in seen and len(seen) < _CHAIN:
        yield current, join
        seen.add(id(current))
        if current.__cause__ is not None:
            join = "\n\nThe above exception was the direct cause of the following exception:"
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            join = "\n\nDuring handling of the above exception, another exception occurred:"
            current = current.__context__


def _formatted(error: BaseException, levels: int = _DEEP) -> str:
    # linecache reads the source lines from the files. No values of variables are shown.
    linecache.checkcache()
    frames = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), limit=-_FRAMES, capture_locals=False
    )
    lines = ["Traceback (most recent call last):\n", *frames.format()] if frames else []
    text = "".join([*lines, summary(error)])
    if levels and isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions[:_CHAIN], 1):
            inner = "\n".join(f"  | {line}" for line in _formatted(member, levels - 1).splitlines())
            text += f"\n  +-- {number} --\n{inner}"
    return text
