"""Converts the values of other formats leniently, and makes strict calls of them.

Producers of other formats can't be corrected by their users: a value out of bounds is taken as unknown and a
long name is cut; only the id and the time of a call are required.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from llmvitals.errors import BadCall, Code, bad
from llmvitals.lenient import listed, mapping, number
from llmvitals.record.call import Call
from llmvitals.record.native import refusal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MS: Final = 86_400_000
_MAX_ID: Final = 512
_MAX_EVENT_ID: Final = 128
_MAX_SECONDS: Final = 253_402_300_799
_FIRST_MILLIS: Final = 100_000_000_000
MOST_REFUSED: Final = 1_000
"""Dead letters of one record: a few megabytes could make millions of them."""


class Decoded(NamedTuple):
    """The contents of a record.

    filtered: how many things in it, such as spans, count as nothing. refused: the items that can't be read;
    they don't touch the others. unread: scope of an instrumentor → spans that look like calls and that no
    dialect knows.
    """

    calls: list[Call]
    filtered: int = 0
    refused: Sequence[BadCall] = ()
    unread: Mapping[str, int] = {}


Attributes = tuple[tuple[str, tuple[str, ...]], ...]
"""Dimension → names of attributes, the preferred first."""


class Context(NamedTuple):
    """What a format needs beside the record.

    texts: whether the calls have their input and output texts. attributes: dimension → names of attributes,
    before the default ones. arrived: when the record came (µs), for records that tell no time. max_bytes: of
    a single call; 0: no limit.
    """

    texts: bool = False
    attributes: Attributes = ()
    arrived: int = 0
    max_bytes: int = 0


class Format(NamedTuple):
    """A record format.

    knows: whether a JSON object with these names is in this format. read: decodes the calls of a record;
    raises BadCall. several: whether a record may hold several calls, and so be larger.
    """

    knows: Callable[[Container[str]], bool]
    read: Callable[[bytes, Context], Decoded]
    several: bool = False


def call(fields: Mapping[str, Any]) -> Call:
    """Make a Call of these fields, without those that are None. Raises BadCall."""
    try:
        return msgspec.convert({k: v for k, v in fields.items() if v is not None}, Call)
    except msgspec.ValidationError as error:
        raise refusal(error) from None


def event_id(*parts: str | None) -> str | None:
    """An id made of parts, None without any; one that is too long ends in its hash."""
    name = "-".join(part for part in parts if part)
    if len(name) > _MAX_EVENT_ID:
        digest = blake2b(name.encode(errors="replace"), digest_size=16).hexdigest()
        name = f"{name[: _MAX_EVENT_ID - len(digest) - 1]}-{digest}"
    return name or None


def moment(micros: int, name: str) -> datetime:
    """Convert µs since 1970 to a time. Raises BadCall if it is beyond the year 9999. name: the field."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise bad(Code.INVALID, f"{name}: is not a time before the year 10000") from None


def micros(value: Any) -> int | None:
    """A time as µs since 1970: RFC 3339 (without an offset: UTC, also quoted), or a number.

    The number is of seconds, or of milliseconds if as seconds it would be beyond the year 5138: clients in
    JavaScript send those, and no call was before 1973.
    """
    value = unquoted(value)
    if isinstance(value, str):
        try:
            moment_ = datetime.fromisoformat(value)
        except ValueError:
            return None
        past = (moment_ if moment_.tzinfo else moment_.replace(tzinfo=UTC)) - _EPOCH
        return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
    seconds = number(value)
    if seconds is not None and abs(seconds) >= _FIRST_MILLIS:
        seconds /= 1_000
    return None if seconds is None or abs(seconds) > _MAX_SECONDS else round(seconds * 1_000_000)


def identity(value: Any) -> str | None:
    """A response id. It is never cut, because two long ids may differ only at their ends."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_ID and value != "None" else None


def flag(value: Any) -> bool | None:
    """True or False; None for anything else."""
    return value if isinstance(value, bool) else None


def dollars(value: Any, *, free: bool = False) -> float | None:
    """A given cost up to $10,000; None for anything else.

    free: whether 0 is a cost. Most systems write it where they know none.
    """
    cost = number(value)
    return cost if cost is not None and (0 < cost <= 10_000 or (free and cost == 0)) else None


def millis(value: float | None) -> float | None:
    """Milliseconds 0 … 24 h; None for anything else."""
    return value if value is not None and 0 <= value <= _MAX_MS else None


_MAX_STRUCTURE: Final = 1_000_000
_MAX_REPR: Final = 20_000
_SURROGATE: Final = re.compile(r"\\(u|U0000)[dD][89a-fA-F]")
"""Half a character, which Python's literals may hold. It can't be encoded."""


def structure(value: Any) -> Any:
    """The object or list that a value is or that a text holds as JSON, or as Python's repr; else None."""
    if not isinstance(value, str):
        return value if isinstance(value, dict | list) else None
    if value[:1] not in ("{", "[") or len(value) > _MAX_STRUCTURE:
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        pass
    if len(value) > _MAX_REPR or _SURROGATE.search(value):
        return None
    try:
        parsed = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict | list) else None


def unquoted(value: Any) -> Any:
    """The value of a text that may be a JSON document: MLflow and Langfuse put their words into quotes."""
    if isinstance(value, str) and value[:1] == '"':
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def embeds(model: str | None) -> bool:
    """Whether a model makes embeddings, by its name: some systems do not tell them from completions."""
    return "embed" in (model or "").lower()


def first(value: Any) -> Mapping[str, Any]:
    """The first item of a list if it is an object, else an empty one."""
    return mapping(next(iter(listed(value)), None))


_CLASS: Final = re.compile(
    r"(?:\w{1,40}\.){0,9}([A-Z]\w{0,60}(?:Error|Exception|Timeout|Interrupt))(?=[(:\s]|$)"
)


def named_error(kind: str | None, message: Any) -> str | None:
    """The class of an error without its module: its kind, else what its message begins with.

    Some systems know an `Exception` only, whose message begins as `RateLimitError('…')`. The rest of it may
    hold the payload.
    """
    if kind is None or kind == "Exception":
        found = _CLASS.match(message) if isinstance(message, str) else None
        return found.group(1) if found else kind
    bare = kind.removeprefix("<class '").removesuffix("'>")
    return bare.rpartition(".")[2] or kind
