"""Compares the expected alerts of a test with those that fired."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from llmvitals.ruletest.rule_test import field_text
from llmvitals.window import SECOND, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from llmvitals.notify.transcript import Told
    from llmvitals.record.alert import Alert
    from llmvitals.ruletest.rule_test import Expectation, ExpectedAlert, ExpectedMessage, RuleTest


class Failure(NamedTuple):
    """One expectation that does not hold.

    line: in the file. what: a sentence. lines: with the sign "-" (expected) or "+" (actual).
    """

    line: int
    what: str
    lines: tuple[tuple[str, str], ...]


def compared(test: RuleTest, alerts: Sequence[Alert], told: Sequence[Told] = ()) -> Iterator[Failure]:
    """The expectations that fail. alerts: all changes; told: what is sent; in the order of their times."""
    for expect in test.expect:
        for rule in expect.never:
            fired = [alert for alert in alerts if alert.rule == rule and alert.status == "firing"]
            if fired:
                line = f"at {_when(test, fired[0].at)}: {_actual_line(fired[0])}"
                yield Failure(expect.line, f"{rule} must never fire", (("+", line),))
        if expect.alerts is not None:
            lines = tuple(_differences(expect.alerts, _latest(test, expect, alerts)))
            if lines:
                clock = datetime.fromtimestamp((test.start + expect.at) / SECOND, UTC)
                what = f"at {duration_text(expect.at)} ({clock:%Y-%m-%d %H:%M:%S} UTC)"
                yield Failure(expect.line, what, lines)
        if expect.messages is not None:
            sent = [one for one in told if one.at <= test.start + expect.at]
            if lines := tuple(_message_differences(expect.messages, sent)):
                yield Failure(expect.line, f"messages up to {duration_text(expect.at)}", lines)


def _latest(test: RuleTest, expect: Expectation, alerts: Sequence[Alert]) -> list[Alert]:
    """The last change of each alert up to the time of the expectation."""
    newest: dict[tuple[str, str], Alert] = {}
    for alert in alerts:
        if alert.at <= test.start + expect.at:
            newest[alert.episode, alert.facet] = alert
    return list(newest.values())


def _differences(wanted: Sequence[ExpectedAlert], latest: Sequence[Alert]) -> Iterator[tuple[str, str]]:
    """Lines for each expected alert that differs, and for each unexpected alert that fires."""
    left = list(latest)
    missing: list[ExpectedAlert] = []
    # The most specific expectation is matched first, so that others do not take its only match.
    for expected in sorted(
        wanted, key=lambda expected: -len(expected.labels) - len(expected.fields) - len(expected.annotations)
    ):
        found = next((alert for alert in left if not expected.differences(alert)), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
    for expected in missing:
        yield "-", _expected_line(expected)
        near = min(
            (alert for alert in left if alert.rule == expected.rule),
            key=lambda alert: len(expected.differences(alert)),
            default=None,
        )
        if near is not None:
            left.remove(near)
            yield "+", _actual_line(near, expected.differences(near))
    yield from (("+", _actual_line(alert)) for alert in left if alert.status == "firing")


def _message_differences(
    wanted: Sequence[ExpectedMessage], sent: Sequence[Told]
) -> Iterator[tuple[str, str]]:
    """Lines for the messages from the first one on that is not as expected."""
    first = next(
        (n for n, (one, told) in enumerate(zip(wanted, sent, strict=False)) if not one.is_met(told)),
        min(len(wanted), len(sent)),
    )
    for one in wanted[first:]:
        where = f" to {one.to}" if one.to else ""
        yield "-", f"{'reply' if one.reply else 'message'}{where}: {' … '.join(one.says)}"
    for told in sent[first:]:
        yield "+", f"{told.what} to {told.channel}: {' | '.join(told.text.splitlines())}"


def _when(test: RuleTest, time: int) -> str:
    return duration_text(time - test.start)


def _expected_line(expected: ExpectedAlert) -> str:
    texts = {**expected.fields, **expected.annotations}
    return _line(expected.rule, expected.status, expected.labels, texts.items())


def _actual_line(alert: Alert, differences: Iterable[str] = ()) -> str:
    """Format an alert: its labels, its summary, and the fields that differ."""
    labels = {name: text for name, text in alert.labels.items() if name != "severity"}
    shown = dict.fromkeys(("level", "facet"), "") | dict.fromkeys(differences, "")
    texts = {
        name: field_text(alert, name) if hasattr(alert, name) else alert.annotations.get(name, "")
        for name in shown
        if name not in ("rule", "status", "summary", *alert.labels) or name == "severity"
    }
    texts["summary"] = alert.summary
    return _line(alert.rule, alert.status, labels, ((name, text) for name, text in texts.items() if text))


def _line(rule: str, status: str, labels: Mapping[str, str], texts: Iterable[tuple[str, str]]) -> str:
    label_text = " ".join(f"{name}={text}" for name, text in sorted(labels.items()))
    quoted = " ".join(f'{name}: "{text}"' for name, text in texts)
    return " ".join(filter(None, (rule, status, f"{{{label_text}}}" if label_text else "", quoted)))
