"""A test of rules: which calls come, and what fires when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llmvitals.record.alert import Alert


@dataclass(frozen=True, slots=True)
class CallStream:
    """A stream of calls. begin, end, every: µs after the test's start; end is exclusive.

    fields: of the event → its values, through which the calls cycle.
    """

    begin: int
    end: int
    every: int
    fields: Mapping[str, Sequence[Any]]

    @property
    def count(self) -> int:
        """How many they are."""
        return -(-(self.end - self.begin) // self.every)

    def events(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each call's time, µs after the start, and its fields."""
        for number in range(self.count):
            values = {name: values[number % len(values)] for name, values in self.fields.items()}
            yield self.begin + number * self.every, values


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """An alert as a test asks for it: `said` are fields of Alert that have to be equal.

    labels: a subset of its labels. annotations: likewise. line: where it stands.
    """

    rule: str
    status: Literal["firing", "resolved"]
    said: Mapping[str, str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    line: int

    def differences(self, alert: Alert) -> dict[str, tuple[str, str]]:
        """Field → what was asked for and what it is; {} when this is the alert that is meant."""
        pairs = {
            "rule": (self.rule, alert.rule),
            "status": (self.status, alert.status),
            **{name: (text, getattr(alert, name)) for name, text in self.said.items()},
            **{name: (text, alert.labels.get(name, "")) for name, text in self.labels.items()},
            **{name: (text, alert.annotations.get(name, "")) for name, text in self.annotations.items()},
        }
        return {name: (wanted, found) for name, (wanted, found) in pairs.items() if wanted != found}


@dataclass(frozen=True, slots=True)
class Expectation:
    """What has to hold. at: µs after the start; alerts: exactly these fire then, and these are over.

    never: rules that don't fire at any time. line: where it stands.
    """

    line: int
    at: int = 0
    alerts: tuple[ExpectedAlert, ...] | None = None
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test. start: µs since 1970. only: rules that are looked at; empty: all. line: where it stands."""

    name: str
    line: int
    start: int
    only: tuple[str, ...]
    calls: tuple[CallStream, ...]
    expect: tuple[Expectation, ...]

    @property
    def end(self) -> int:
        """µs after the start up to which it plays."""
        return max([one.at for one in self.expect] + [one.end for one in self.calls], default=0)

    @property
    def fires(self) -> set[str]:
        """The rules that it asks to fire."""
        return {alert.rule for one in self.expect for alert in one.alerts or ()}

    def quiet(self, rules: Iterable[str]) -> set[str]:
        """The rules that it asks not to fire, at any time or at one; rules: those that there are."""
        never = {name for one in self.expect for name in one.never}
        return never.union(*((self.only or rules) for one in self.expect if one.alerts == ()))


@dataclass(frozen=True, slots=True)
class RuleTestFile:
    """A file of tests. rules: names of the rule files it is about; empty: all. pane: µs."""

    path: Path
    rules: tuple[str, ...]
    pane: int
    tests: tuple[RuleTest, ...] = field(default=())
