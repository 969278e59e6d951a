"""What a test asked for against what fired: failures that one can read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from llmvitals.window import SECOND, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.ruletest.rule_test import Expectation, ExpectedAlert, RuleTest


class Failure(NamedTuple):
    """One expectation that does not hold.

    line: where it stands. what: a sentence. lines: signed "-" (was expected) or "+" (is so instead).
    """

    line: int
    what: str
    lines: tuple[tuple[str, str], ...]


def compared(test: RuleTest, alerts: Sequence[Alert]) -> Iterator[Failure]:
    """What does not hold; alerts: all changes, in the order of their times."""
    for expect in test.expect:
        for rule in expect.never:
            fired = [alert for alert in alerts if alert.rule == rule and alert.status == "firing"]
            if fired:
                line = f"at {_when(test, fired[0].at)}: {_shown(fired[0])}"
                yield Failure(expect.line, f"{rule} must never fire", (("+", line),))
        if expect.alerts is not None:
            lines = tuple(_different(expect.alerts, _standing(test, expect, alerts)))
            if lines:
                clock = datetime.fromtimestamp((test.start + expect.at) / SECOND, UTC)
                what = f"at {duration_text(expect.at)} ({clock:%Y-%m-%d %H:%M:%S} UTC)"
                yield Failure(expect.line, what, lines)


def _standing(test: RuleTest, expect: Expectation, alerts: Sequence[Alert]) -> list[Alert]:
    """The newest change, up to the time of the expectation, of each alert."""
    newest: dict[tuple[str, str], Alert] = {}
    for alert in alerts:
        if alert.at <= test.start + expect.at:
            newest[alert.episode, alert.facet] = alert
    return list(newest.values())


def _different(wanted: Sequence[ExpectedAlert], standing: Sequence[Alert]) -> Iterator[tuple[str, str]]:
    """Lines for each alert that is not as asked for, and each that fires unasked."""
    left = list(standing)
    missing: list[ExpectedAlert] = []
    # Whoever asks for most is served first, so that nobody takes the only one that fits another.
    for one in sorted(wanted, key=lambda one: -len(one.labels) - len(one.said) - len(one.annotations)):
        found = next((alert for alert in left if not one.differences(alert)), None)
        if found is None:
            missing.append(one)
        else:
            left.remove(found)
    for one in missing:
        yield "-", _asked(one)
        near = min(
            (alert for alert in left if alert.rule == one.rule),
            key=lambda alert: len(one.differences(alert)),
            default=None,
        )
        if near is not None:
            left.remove(near)
            yield "+", _shown(near, one.differences(near))
    yield from (("+", _shown(alert)) for alert in left if alert.status == "firing")


def _when(test: RuleTest, time: int) -> str:
    return duration_text(time - test.start)


def _asked(one: ExpectedAlert) -> str:
    said = {**one.said, **one.annotations}
    return _line(one.rule, one.status, one.labels, said.items())


def _shown(alert: Alert, differences: Iterable[str] = ()) -> str:
    """An alert: its labels, its text, and the fields that differ."""
    labels = {name: text for name, text in alert.labels.items() if name != "severity"}
    shown = dict.fromkeys(("level", "facet"), "") | dict.fromkeys(differences, "")
    said = {
        name: getattr(alert, name, alert.annotations.get(name, ""))
        for name in shown
        if name not in ("rule", "status", "summary", *alert.labels) or name == "severity"
    }
    said["summary"] = alert.summary
    return _line(alert.rule, alert.status, labels, ((name, text) for name, text in said.items() if text))


def _line(rule: str, status: str, labels: Mapping[str, str], said: Iterable[tuple[str, str]]) -> str:
    told = " ".join(f"{name}={text}" for name, text in sorted(labels.items()))
    texts = " ".join(f'{name}: "{text}"' for name, text in said)
    return " ".join(filter(None, (rule, status, f"{{{told}}}" if told else "", texts)))
