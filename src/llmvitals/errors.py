"""The exceptions of llmvitals, in one tree.

    LlmvitalsError
    ├── ConfigError          the settings or the rules are wrong; nothing was started (exit code 2)
    │   └── RuleError        …at this file, line and column
    ├── BadCall              one record can't be read; it becomes a dead letter, and the others are processed
    ├── MissingTopic         a topic that the worker needs does not exist
    ├── BrokerDown           Kafka is not reachable (retry)
    ├── Unavailable          a local Kafka, Java or InfluxDB is not available on this machine
    │   └── StartFailed      …it is available, but does not start
    ├── SourceRecreated      a topic ends before the checkpoint: it was deleted and created again
    ├── StateLost            offsets are committed, but their checkpoint is missing
    └── SinkError            InfluxDB, SQLite or Slack refused; `retry` says whether to try again

`retry` on each class says whether the same call may succeed later.
"""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Key = TypeVar("Key", str, int)
Value = TypeVar("Value")
Found = TypeVar("Found")
Spot = str | int | tuple[str | int, ...]


class LlmvitalsError(Exception):
    """The root. Its text is written for the person who runs llmvitals."""

    retry: bool = False


class ConfigError(LlmvitalsError):
    """The settings or the rules are wrong."""


class RuleError(ConfigError):
    """A rule file is wrong at this place; all: every mistake, of which this is the first."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        super().__init__(f"{file}:{line}:{column}: {message}" if file else message)
        self.all: tuple[RuleError, ...] = (self,)


SYNONYMS: Final = {
    # metrics and their parts
    "average": "mean", "avg": "mean", "median": "p50", "maximum": "max",
    "rate": "share", "ratio": "share", "percent": "share", "percentage": "share", "pct": "share",
    "fraction": "share", "failure": "error", "request": "call", "spend": "cost", "spending": "cost",
    "price": "cost", "duration": "latency", "response_time": "latency", "time_to_first_token": "ttft",
    "prompt_token": "input_token", "completion_token": "output_token",
    "rps": "calls_per_s", "qps": "calls_per_s", "tps": "tokens_per_s",
    # dimensions
    "env": "environment", "application": "app", "service": "app", "customer": "tenant",
    "organization": "tenant", "org": "tenant", "api_key": "key", "user_id": "user", "session_id": "session",
    "conversation": "session", "vendor": "provider",
    # fields
    "gt": "above", "greater_than": "above", "lt": "below", "less_than": "below", "group_by": "by",
    "groupby": "by", "filter": "where", "annotation": "annotations", "label": "labels",
    # periods and severities
    "hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter",
    "yearly": "year", "annual": "year",
    "page": "critical", "fatal": "critical", "high": "critical", "emergency": "critical",
    "medium": "warning", "low": "info", "notice": "info",
}  # fmt: skip
"""The word of other tools, in the singular → ours."""
_FILLERS: Final = frozenset(("of", "ms", "second", "usd", "dollar", "total", "count", "number", "num"))
"""Parts of names that say nothing here."""


def near(word: str, names: Iterable[str]) -> str | None:
    """The name that a word was most likely meant to be; None if none is near.

    >>> near("p95_latency", ["latency_mean", "latency_p95"])
    'latency_p95'
    """
    known = {name.lower(): name for name in names}
    lower = word.strip().lower()
    if found := known.get(lower) or known.get(SYNONYMS.get(lower, "")):
        return found
    parts = _parts(lower)
    if found := next((name for key, name in known.items() if parts and _parts(key) == parts), None):
        return found
    return next((known[key] for key in difflib.get_close_matches(lower, known, n=1, cutoff=0.6)), None)


def _parts(name: str) -> list[str]:
    """The parts of a name in our words and in a fixed order: two names with the same ones mean the same."""
    for word, ours in SYNONYMS.items():
        if "_" in word:
            name = name.replace(word, ours)
    found = (_singular(part) for part in re.findall("p[0-9]+|[a-z]+|[0-9]+", name))
    return sorted(_singular(SYNONYMS.get(part, part)) for part in found if part not in _FILLERS)


def _singular(part: str) -> str:
    return part[:-1] if len(part) > 3 and part.endswith("s") else part


def suggestion(word: str, names: Iterable[str]) -> str:
    """The part of an error text that suggests the nearest name, or lists all of them.

    >>> suggestion("modle", ["app", "model"])
    ': did you mean model?'
    """
    names = list(names)
    if not names:
        return ": there are none here"
    found = near(word, names)
    return f": did you mean {found}?" if found else f": write one of {', '.join(names)}"


class Mistakes(ValueError):
    """Several errors in one field or model: key or place in it, or a path of them → message.

    key: whether the keys themselves are wrong, not their values.
    """

    def __init__(self, found: Mapping[Spot, str], *, key: bool = False) -> None:
        self.found: Mapping[Spot, str] = found
        self.key = key
        super().__init__("; ".join(found.values()))

    def below(self, key: str | int) -> dict[Spot, str]:
        """The same, seen from one level further up."""
        return {(key, *spot(place)): message for place, message in self.found.items()}


def checked(pairs: Iterable[tuple[Key, Value]], check: Callable[[Key, Value], Found]) -> dict[Key, Found]:
    """Apply `check` to each pair. Returns the results by key. Raises Mistakes with all errors."""
    results: dict[Key, Found] = {}
    mistakes: dict[Spot, str] = {}
    for key, value in pairs:
        try:
            results[key] = check(key, value)
        except Mistakes as error:
            mistakes |= error.below(key)
        except ValueError as error:
            mistakes[key] = str(error)
    if mistakes:
        raise Mistakes(mistakes)
    return results


def spot(found: Spot) -> tuple[str | int, ...]:
    """The path of a mistake within its field or model."""
    return found if isinstance(found, tuple) else (found,)


class MissingTopic(LlmvitalsError):
    """A topic that the worker needs does not exist."""


class BrokerDown(LlmvitalsError):
    """Kafka is not reachable."""

    retry = True


class Unavailable(LlmvitalsError):
    """A program that the demo or a test needs is not available; the text says how to get it."""


class StartFailed(Unavailable):
    """A program is available but does not start; the text has the end of its output."""


class SourceRecreated(LlmvitalsError):
    """A source topic ends before the offset of the checkpoint."""


class StateLost(LlmvitalsError):
    """Offsets are committed, but their checkpoint can't be found or read."""


class SinkError(LlmvitalsError):
    """A store or Slack refused a request or did not answer.

    retry_after: seconds to wait before the next attempt, if the server said so.
    """

    def __init__(self, message: str, *, retry: bool, retry_after: float | None = None) -> None:
        self.retry, self.retry_after = retry, retry_after
        super().__init__(message)


class Code(StrEnum):
    """Why a record became a dead letter: a closed list."""

    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    UNKNOWN_FORMAT = "unknown_format"
    UNKNOWN_VERSION = "unknown_version"
    INVALID = "invalid"
    FUTURE = "future"
    PAST = "past"
    INTERNAL = "internal"


CURES: dict[Code, str] = {
    Code.TOO_LARGE: "Send a smaller record, for instance without texts, or raise LLMVITALS_MAX_RECORD_BYTES.",
    Code.NOT_UTF8: "Encode the event as UTF-8.",
    Code.NOT_JSON: "Send one JSON object (or OTLP protobuf) per record; NaN and Infinity are not JSON.",
    Code.UNKNOWN_FORMAT: "Send a native call, a LiteLLM payload or OTLP; see `llmvitals schema call`.",
    Code.UNKNOWN_VERSION: "The producer is newer than llmvitals: upgrade it, or send schema_version 1.",
    Code.INVALID: "Correct the field in the producer; see `llmvitals schema call`.",
    Code.FUTURE: "The producer's clock is ahead of Kafka's: synchronize both with NTP.",
    Code.PAST: "The time is before 2015: send milliseconds since 1970, not seconds.",
    Code.INTERNAL: "This is a bug in llmvitals: please report this message. Other records are processed.",
}


AFRESH: Final = (
    "set LLMVITALS_GROUP and LLMVITALS_TOPIC_PREFIX to new names and LLMVITALS_INPUTS to the topics of the "
    "calls, and run `llmvitals topics apply`; the calls are counted again from the oldest that Kafka has"
)
"""What to do if the state is lost. A new group alone would mix old frames with new ones."""


class BadCall(LlmvitalsError):
    """A record that can't be read.

    code: one of `Code`. The message has at most 256 characters and no values of the payload. item: the place
    of the item in a record of several; None: the whole record.
    """

    LIMIT: ClassVar[int] = 256

    def __init__(self, code: Code, message: str, item: int | None = None) -> None:
        self.code, self.item = code, item
        self.message = (message if item is None else f"[{item}] {message}")[: self.LIMIT]
        super().__init__(f"{code}: {self.message}")

    def at(self, item: int) -> BadCall:
        """The same error of this item of a record."""
        return BadCall(self.code, self.message, item)


def bad(code: Code, what: str) -> BadCall:
    """Make the error for a record: what is wrong, and what to do."""
    return BadCall(code, f"{what}. {CURES[code]}")
