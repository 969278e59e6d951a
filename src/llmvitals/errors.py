"""Everything that can go wrong, in one tree.

    LlmvitalsError
    ├── ConfigError          the settings or the rules are wrong; nothing was started (exit code 2)
    │   └── RuleError        …at this file, line and column
    ├── BadCall              one record can't be read; it goes to the dead letters, its neighbours go on
    ├── MissingTopic         a topic that the worker needs is not there
    ├── BrokerDown           Kafka can't be reached (retry)
    ├── Unavailable          a local Kafka, Java or InfluxDB can't be had on this machine
    │   └── StartFailed      …it is here, but does not come up
    ├── SourceRecreated      a topic ends before the checkpoint: it is another topic under the old name
    ├── StateLost            offsets are committed, but the state that belongs to them is gone
    └── SinkError            InfluxDB, SQLite or Slack said no; `retry` tells whether to try again

`retry` on each class says whether the same call may succeed later.
"""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Key = TypeVar("Key", str, int)
Value = TypeVar("Value")
Found = TypeVar("Found")


class LlmvitalsError(Exception):
    """The root; its text is written for the person who runs llmvitals."""

    retry: bool = False


class ConfigError(LlmvitalsError):
    """The settings or the rules are wrong."""


class RuleError(ConfigError):
    """A rule file is wrong at one place."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        super().__init__(f"{file}:{line}:{column}: {message}" if file else message)


def suggestion(word: str, names: Iterable[str]) -> str:
    """The middle of an error text: the nearest name if there is one, else all of them.

    >>> suggestion("modle", ["app", "model"])
    ': did you mean model?'
    """
    names = list(names)
    if not names:
        return ": there are none here"
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else f": write one of {', '.join(names)}"


class Mistakes(ValueError):
    """What is wrong below a field that is looked at as a whole: key or place in it → the message."""

    def __init__(self, found: Mapping[str | int, str]) -> None:
        self.found = found
        super().__init__("; ".join(found.values()))


def checked(pairs: Iterable[tuple[Key, Value]], check: Callable[[Key, Value], Found]) -> dict[Key, Found]:
    """What `check` makes of each pair, by its key. Raises Mistakes that tells of all that are wrong."""
    found: dict[Key, Found] = {}
    wrong: dict[str | int, str] = {}
    for key, value in pairs:
        try:
            found[key] = check(key, value)
        except ValueError as error:
            wrong[key] = str(error)
    if wrong:
        raise Mistakes(wrong)
    return found


class MissingTopic(LlmvitalsError):
    """A topic that the worker needs is not on the broker."""


class BrokerDown(LlmvitalsError):
    """Kafka can't be reached."""

    retry = True


class Unavailable(LlmvitalsError):
    """What the demo or a test wants to start can't be had here; the text says what it would take."""


class StartFailed(Unavailable):
    """It is here, but does not come up; the text holds its last words."""


class SourceRecreated(LlmvitalsError):
    """A source topic ends before the offset that the checkpoint has counted up to."""


class StateLost(LlmvitalsError):
    """Offsets are committed, but the checkpoint that belongs to them can't be found."""


class SinkError(LlmvitalsError):
    """A sink refused or did not answer.

    retry_after: seconds that the sink asked us to wait, if it did.
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
    Code.TOO_LARGE: "Send fewer bytes: leave texts out, or raise LLMVITALS_MAX_RECORD_BYTES.",
    Code.NOT_UTF8: "Encode the event as UTF-8.",
    Code.NOT_JSON: "Send one JSON object (or OTLP protobuf) per record; NaN and Infinity are not JSON.",
    Code.UNKNOWN_FORMAT: "Send a native call, a LiteLLM payload or OTLP; see `llmvitals schema call`.",
    Code.UNKNOWN_VERSION: "This llmvitals is older than the producer: upgrade it, or send schema_version 1.",
    Code.INVALID: "A field is missing or out of range; see `llmvitals schema call`.",
    Code.FUTURE: "The producer's clock runs ahead of the broker's: set it by NTP.",
    Code.PAST: "The time is before 2015: were seconds sent where milliseconds are due?",
    Code.INTERNAL: "A defect in llmvitals: please report the message; the others go on.",
}


AFRESH: Final = (
    "set LLMVITALS_GROUP and LLMVITALS_TOPIC_PREFIX to new names and LLMVITALS_INPUTS to the topics of the "
    "calls, and run `llmvitals topics apply`; the calls are counted again from the oldest that Kafka has"
)
"""The way out of a state that is lost. A new group alone would mix old frames with those counted anew."""


class BadCall(LlmvitalsError):
    """A record that can't be read.

    code: one of `Code`. The message holds at most 256 characters and nothing of the payload's values.
    """

    LIMIT: ClassVar[int] = 256

    def __init__(self, code: Code, message: str) -> None:
        self.code, self.message = code, message[: self.LIMIT]
        super().__init__(f"{code}: {self.message}")
