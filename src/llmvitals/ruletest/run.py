"""Runs the calls of a test through both stages, and checks the alerts."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from llmvitals.alerting import DEFAULT_CHANNEL, IncidentReplay
from llmvitals.errors import ConfigError
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.frame import BlockFrame, Frame
from llmvitals.record.log import Logged, Topic
from llmvitals.rules.engine import load_engine
from llmvitals.ruletest.rule_test import field_text
from llmvitals.window import NEVER, SECOND, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llmvitals.alerting import Told
    from llmvitals.record.block import Block
    from llmvitals.record.frame import AnyFrame, LateEntry
    from llmvitals.record.log import Message
    from llmvitals.ruletest.rule_test import (
        CallStream,
        Expectation,
        ExpectedAlert,
        ExpectedMessage,
        RuleTest,
        RuleTestFile,
    )
    from llmvitals.settings import Settings

SOURCE: Final = "test"
BATCH: Final = 2_000
"""Calls in a batch."""


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a test; it passed if there are no failures."""

    test: RuleTest
    failures: tuple[Failure, ...]


class Runner:
    """Runs tests of the rules in a folder; settings: the worker's, except for views and pane."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        own = {"alerts": folder, "default_views": False, "views": (), "disorder": "0s"}
        self._settings = settings.model_copy(update=own)
        self._pipelines: dict[tuple[tuple[str, ...], int], Pipeline] = {}

    def run(self, file: RuleTestFile, test: RuleTest) -> Outcome:
        """Run one test of a file. Raises ConfigError for a call that can't be read."""
        alerts = [alert for alert in self.alerts(file, test) if not test.only or alert.rule in test.only]
        return Outcome(test, tuple(compared(test, alerts, self._told(file, test, alerts))))

    def alerts(self, file: RuleTestFile, test: RuleTest) -> list[Alert]:
        """All changes of alerts in a test, in the order of their times."""
        stages = _Stages(self._pipeline(file), file.pane)
        alerts: list[Alert] = []
        calls = events(test)
        while batch := list(itertools.islice(calls, BATCH)):
            alerts += stages.feed(batch)
        alerts += stages.finish(test.start + test.end)
        return sorted(alerts, key=Alert.order)

    def _told(self, file: RuleTestFile, test: RuleTest, alerts: Sequence[Alert]) -> Sequence[Told]:
        """What people would be told of these alerts, if the test says anything about it."""
        if all(expect.messages is None for expect in test.expect):
            return ()
        replay = IncidentReplay(self._pipeline(file).engine.rules.routing, DEFAULT_CHANNEL)
        asyncio.run(replay.run(alerts, test.start + test.end))
        return replay.told

    def _pipeline(self, file: RuleTestFile) -> Pipeline:
        key = file.rules, file.pane
        if key not in self._pipelines:
            settings = self._settings.model_copy(update={"pane": duration_text(file.pane)})
            engine = load_engine(settings.alerts, file.pane, (), only=file.rules)
            self._pipelines[key] = Pipeline.of(settings, 1, [SOURCE], engine=engine)
        return self._pipelines[key]


class _Stages:
    """Both stages.

    The frames between them are rebuilt, so that late calls count in the panes in which they come: each pane
    with late calls has frames of its own. All other panes of a batch have one frame.
    """

    def __init__(self, pipeline: Pipeline, pane: int) -> None:
        self.pane, self.frames = pane, 0
        alone = pipeline.alone({SOURCE: 1})
        self.combine, self.merge = alone.combines[SOURCE, 0], alone.merge

    def feed(self, calls: Iterable[tuple[int, bytes]]) -> list[Alert]:
        """Feed the next calls, in the order in which they come."""
        first = self.combine.next
        out = self.combine.apply(
            [Logged(first + number, time // 1_000, data) for number, (time, data) in enumerate(calls)]
        )
        self.combine.delivered(self.combine.mark())
        return self._close(out)

    def finish(self, time: int) -> list[Alert]:
        """End the calls, and advance event time to this time (µs)."""
        over = time // self.pane + 1
        self.combine.promise(over * self.pane)
        return [*self._close(self.combine.flush()), *self._apply(over, [], [])]

    def _close(self, messages: Iterable[Message]) -> list[Alert]:
        """Close all panes that are handed over. messages: what combine sends."""
        for message in messages:
            if message.topic is Topic.DEAD_LETTERS:
                why = dict(message.headers).get("llmvitals.err.message", b"").decode()
                raise ConfigError(f"a call of the test can't be read: {why}")
        frames = self.combine.hand_over()
        late = [entry for frame in frames if isinstance(frame, Frame) for entry in frame.late]
        blocks = [
            block.unpack() for frame in frames if isinstance(frame, BlockFrame) for block in frame.blocks
        ]
        edges = {edge for entry in late for edge in (entry.pane, entry.pane + 1)}
        edges |= {max(int(block.panes.max()) for block in blocks) + 1} if blocks else set()
        alerts: list[Alert] = []
        for start, end in itertools.pairwise([NEVER, *sorted(edges)]):
            places = [np.flatnonzero((start <= block.panes) & (block.panes < end)) for block in blocks]
            parts = [block.take(rows) for block, rows in zip(blocks, places, strict=True) if len(rows)]
            alerts += self._apply(end, parts, [entry for entry in late if start <= entry.pane < end])
        return alerts

    def _apply(self, floor: int, blocks: Sequence[Block], late: Sequence[LateEntry]) -> list[Alert]:
        """Apply the entries of panes, and raise the floor."""
        source = f"{SOURCE}/0", {SOURCE: 1}, 0, 1
        frames: list[AnyFrame] = [BlockFrame(*source, floor, self.frames, self.pane, tuple(blocks))]
        if late:
            frames.insert(0, Frame(*source, floor - 1, self.frames, self.pane, late=tuple(late)))
        out = self.merge.apply_frames(frames)
        self.frames += 1
        return [Alert.decode(message.value or b"") for message in out if message.topic is Topic.ALERTS]


def events(test: RuleTest) -> Iterator[tuple[int, bytes]]:
    """(when it comes, µs; event) of all calls, in the order in which they come."""
    lines = [_entry_calls(calls, test.start, line) for line, calls in enumerate(test.calls)]
    ordered = sorted(itertools.chain.from_iterable(lines), key=lambda call: call[:2])
    for number, (comes, _, late, fields) in enumerate(ordered):
        event: dict[str, Any] = {"id": f"call-{number + 1}", "ts": (comes - late) // 1_000, **fields}
        yield comes, json.dumps(event).encode()


def _entry_calls(calls: CallStream, start: int, line: int) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
    """(when it comes, line, how late that is, fields) of each call; times in µs."""
    for after, fields in calls.events():
        yield start + after + calls.late, line, calls.late, fields
