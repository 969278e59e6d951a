"""A test of rules: its calls, and the alerts that it expects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from llmvitals.metrics.quantity import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llmvitals.alerting import Told
    from llmvitals.record.alert import Alert

NUMBERS: Final = ("value", "peak", "limit")
"""Fields of alerts that tests state with their unit."""


@dataclass(frozen=True, slots=True)
class CallStream:
    """A stream of calls. begin, end, every: µs after the test's start; end is exclusive.

    fields: of the event → its values, through which the calls cycle. late: how long after their own time
    they come, µs.
    """

    begin: int
    end: int
    every: int
    fields: Mapping[str, Sequence[Any]]
    late: int = 0

    @property
    def count(self) -> int:
        """The number of calls."""
        return -(-(self.end - self.begin) // self.every)

    def events(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each call's own time, µs after the start, and its fields."""
        for number in range(self.count):
            values = {name: values[number % len(values)] for name, values in self.fields.items()}
            yield self.begin + number * self.every, values


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """An expected alert. fields: those of Alert that have to be equal, numbers as people read them.

    labels, annotations: subsets of the alert's. line: its line in the file.
    """

    rule: str
    status: Literal["firing", "resolved"]
    fields: Mapping[str, str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    line: int

    def differences(self, alert: Alert) -> dict[str, tuple[str, str]]:
        """Field → expected and actual value; {} if the alert matches."""
        pairs = {
            "rule": (self.rule, alert.rule),
            "status": (self.status, alert.status),
            **{name: (text, field_text(alert, name)) for name, text in self.fields.items()},
            **{name: (text, alert.labels.get(name, "")) for name, text in self.labels.items()},
            **{name: (text, alert.annotations.get(name, "")) for name, text in self.annotations.items()},
        }
        return {name: (wanted, found) for name, (wanted, found) in pairs.items() if wanted != found}


def field_text(alert: Alert, name: str) -> str:
    """A field of an alert as a test states it."""
    found = getattr(alert, name)
    return amount(found, alert.unit) if name in NUMBERS else str(found)


@dataclass(frozen=True, slots=True)
class ExpectedMessage:
    """An expected message or reply. to: the channel, "" for any. says: texts that it contains."""

    to: str
    says: tuple[str, ...]
    reply: bool

    def is_met(self, told: Told) -> bool:
        """Whether this is the message."""
        kind = "reply" if self.reply else "message"
        return told.what == kind and self.to in ("", told.channel) and all(t in told.text for t in self.says)


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expectation. at: µs after the start; alerts: exactly these fire then, or have resolved.

    messages: exactly these were sent up to then. never: rules that must not fire at any time. line: its
    line in the file.
    """

    line: int
    at: int = 0
    alerts: tuple[ExpectedAlert, ...] | None = None
    messages: tuple[ExpectedMessage, ...] | None = None
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test. start: µs since 1970. only: the rules that are checked; empty: all. line: in the file."""

    name: str
    line: int
    start: int
    only: tuple[str, ...]
    calls: tuple[CallStream, ...]
    expect: tuple[Expectation, ...]

    @property
    def end(self) -> int:
        """The end of the test, µs after the start."""
        ends = [calls.end + calls.late for calls in self.calls]
        return max([expected.at for expected in self.expect] + ends, default=0)

    @property
    def fires(self) -> set[str]:
        """The rules that it expects to fire."""
        return {alert.rule for expected in self.expect for alert in expected.alerts or ()}

    def quiet(self, rules: Iterable[str]) -> set[str]:
        """The rules that it expects not to fire, at any time or at one; rules: all rules."""
        never = {name for expected in self.expect for name in expected.never}
        return never.union(*((self.only or rules) for expected in self.expect if expected.alerts == ()))


@dataclass(frozen=True, slots=True)
class RuleTestFile:
    """A file of tests. rules: names of the rule files that it loads; empty: all. pane: µs."""

    path: Path
    rules: tuple[str, ...]
    pane: int
    tests: tuple[RuleTest, ...] = field(default=())
