"""Runs the calls of a test through both stages, and checks the alerts."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.alerting.replay import DEFAULT_CHANNEL, IncidentReplay
from llmvitals.errors import ConfigError
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.frame import Entry, Frame, LateEntry
from llmvitals.record.log import Logged, Topic
from llmvitals.rules.engine import load_engine
from llmvitals.ruletest.compare import Failure, compared
from llmvitals.window import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from llmvitals.notify.transcript import Told
    from llmvitals.record.log import Message
    from llmvitals.ruletest.rule_test import CallStream, RuleTest, RuleTestFile
    from llmvitals.settings import Settings

SOURCE: Final = "test"
BATCH: Final = 2_000
"""Calls in a batch."""


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
    """Both stages. The frames between them are rebuilt: one for each pane, with the floor that closes it.

    So the rules evaluate each pane as soon as it is over, independent of the batches.
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
        return [alert for pane, entries in self._panes(out) for alert in self._close(pane + 1, entries)]

    def finish(self, time: int) -> list[Alert]:
        """End the calls, and advance event time to this time (µs)."""
        over = time // self.pane + 1
        self.combine.promise(over * self.pane)
        left = self._panes(self.combine.flush())
        alerts = [alert for pane, entries in left for alert in self._close(pane + 1, entries)]
        return [*alerts, *self._close(over, ())]

    def _panes(self, messages: Iterable[Message]) -> list[tuple[int, list[Entry]]]:
        """The entries of each pane, those of late calls too, in their order."""
        panes: dict[int, list[Entry]] = {}
        for message in messages:
            if message.topic is Topic.DEAD_LETTERS:
                why = dict(message.headers).get("llmvitals.err.message", b"").decode()
                raise ConfigError(f"a call of the test can't be read: {why}")
        for frame in self.combine.hand_over():
            for entry in (*frame.entries, *frame.late):
                panes.setdefault(entry.pane, []).append(entry)
        return sorted(panes.items())

    def _close(self, floor: int, entries: Sequence[Entry]) -> list[Alert]:
        frame = Frame(
            source=f"{SOURCE}/0",
            sources={SOURCE: 1},
            shard=0,
            shards=1,
            floor=floor,
            version=self.frames,
            pane_us=self.pane,
            entries=tuple(entry for entry in entries if not isinstance(entry, LateEntry)),
            late=tuple(entry for entry in entries if isinstance(entry, LateEntry)),
        )
        out = self.merge.apply_frames([frame])
        self.frames += 1
        return [Alert.decode(message.value or b"") for message in out if message.topic is Topic.ALERTS]


def events(test: RuleTest) -> Iterator[tuple[int, bytes]]:
    """(when it comes, µs; event) of all calls, in the order in which they come."""
    lines = [_line(calls, test.start, line) for line, calls in enumerate(test.calls)]
    ordered = sorted(itertools.chain.from_iterable(lines), key=lambda call: call[:2])
    for number, (comes, _, late, fields) in enumerate(ordered):
        event: dict[str, Any] = {"id": f"call-{number + 1}", "ts": (comes - late) // 1_000, **fields}
        yield comes, json.dumps(event).encode()


def _line(calls: CallStream, start: int, line: int) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
    """(when it comes, line, how late that is, fields) of each call; times in µs."""
    for after, fields in calls.events():
        yield start + after + calls.late, line, calls.late, fields
